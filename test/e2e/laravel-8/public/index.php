<?php

use Illuminate\Contracts\Http\Kernel;
use Illuminate\Http\Request;

define('LARAVEL_START', microtime(true));

// Debian's php-laravel-framework, on PHP's include path. It is not a Composer package.
require 'Illuminate/autoload.php';

// Pusher's SDK, which Debian does not have.
if (is_file($sdk = __DIR__.'/../vendor/autoload.php')) {
    require $sdk;
}

spl_autoload_register(function (string $class) {
    $file = __DIR__.'/../'.str_replace(['App\\', '\\'], ['app/', '/'], $class).'.php';
    if (str_starts_with($class, 'App\\') && is_file($file)) {
        require $file;
    }
});

$app = require __DIR__.'/../bootstrap/app.php';
$kernel = $app->make(Kernel::class);
$response = $kernel->handle($request = Request::capture())->send();
$kernel->terminate($request, $response);
