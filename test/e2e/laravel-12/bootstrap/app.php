<?php

use Illuminate\Foundation\Application;
use Illuminate\Foundation\Configuration\Exceptions;
use Illuminate\Foundation\Configuration\Middleware;
use Illuminate\Http\Middleware\HandleCors;

return Application::configure(basePath: dirname(__DIR__))
    ->withRouting(
        web: __DIR__.'/../routes/web.php',
        then: fn () => require __DIR__.'/../routes/broadcasting.php',
    )
    ->withMiddleware(function (Middleware $middleware) {
        // fruitcake/php-cors is replaced by nothing, see composer.json.
        $middleware->remove(HandleCors::class);
    })
    ->withExceptions(function (Exceptions $exceptions) {})
    ->create();
