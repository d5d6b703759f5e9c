<?php

return [
    'default' => env('BROADCAST_CONNECTION', 'null'),

    'connections' => [
        // Since Laravel 11 the framework's own configuration has no such connection.
        'redis' => ['driver' => 'redis', 'connection' => 'default'],
    ],
];
