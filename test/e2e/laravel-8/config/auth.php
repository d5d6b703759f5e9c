<?php

return [
    'defaults' => ['guard' => 'web', 'passwords' => 'users'],

    'guards' => [
        'web' => ['driver' => 'session', 'provider' => 'users'],
        'api' => ['driver' => 'token', 'provider' => 'users'],
    ],

    'providers' => [
        'users' => ['driver' => 'invented'],
    ],
];
