<?php

use App\Http\Middleware\LeaveSessionUnsaved;
use Illuminate\Support\Facades\Broadcast;

// As every application has it: the session cookie says who asks.
Broadcast::routes();

// The same for API clients: a bearer token says who asks.
Broadcast::routes(['prefix' => 'api', 'middleware' => ['auth:api']]);

// The session cookie again, and an auth call that is still running at a logout does not bring the session back.
Broadcast::routes(['prefix' => 'cured', 'middleware' => ['web', LeaveSessionUnsaved::class]]);

require __DIR__.'/channels.php';
