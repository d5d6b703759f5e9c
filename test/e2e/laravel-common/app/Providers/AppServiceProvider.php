<?php

namespace App\Providers;

use App\Auth\InventedUsers;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\ServiceProvider;

class AppServiceProvider extends ServiceProvider
{
    public function boot(): void
    {
        Auth::provider('invented', fn () => new InventedUsers);
    }
}
