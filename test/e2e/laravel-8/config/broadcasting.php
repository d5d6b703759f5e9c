<?php

return [
    'default' => env('BROADCAST_DRIVER', 'null'),

    'connections' => [
        'redis' => ['driver' => 'redis', 'connection' => 'default'],
        'pusher' => [
            'driver' => 'pusher',
            'key' => env('PUSHER_APP_KEY'),
            'secret' => env('PUSHER_APP_SECRET'),
            'app_id' => env('PUSHER_APP_ID'),
            'options' => [
                'host' => env('PUSHER_HOST'),
                'port' => env('PUSHER_PORT'),
                'scheme' => 'http',
                'encryption_master_key_base64' => env('PUSHER_ENCRYPTION_MASTER_KEY', ''),
            ],
        ],
        'log' => ['driver' => 'log'],
        'null' => ['driver' => 'null'],
    ],
];
