<?php

return [
    'default' => env('CACHE_DRIVER', 'array'),
    'stores' => ['array' => ['driver' => 'array', 'serialize' => false]],
    'prefix' => 'acme_shop_cache',
];
