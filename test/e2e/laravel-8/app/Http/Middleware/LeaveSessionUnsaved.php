<?php

namespace App\Http\Middleware;

use Closure;
use Illuminate\Http\Request;
use Illuminate\Session\NullSessionHandler;

/**
 * Laravel saves the session of every request when the request ends. An auth call that was running during a logout
 * would thus bring the session back. Placed after `web` on the broadcast routes, this reads the session and saves nothing.
 */
class LeaveSessionUnsaved
{
    public function handle(Request $request, Closure $next)
    {
        // Session\Store has no setHandler() before Laravel 9.38.
        (function () {
            $this->handler = new NullSessionHandler;
        })->call($request->session());

        return $next($request);
    }
}
