<?php

use Illuminate\Support\Facades\Broadcast;

Broadcast::channel('App.Models.User.{id}', fn ($user, $id) => $user->id === (int) $id);

Broadcast::channel('App.Models.Post.{id}', fn () => true);

Broadcast::channel('orders.{userId}', fn ($user, $userId) => $user->id === (int) $userId);

Broadcast::channel('room.{id}', fn ($user, $id) => ['id' => $user->id, 'name' => $user->name]);

// Enough for a private channel; on a presence channel it does not say who comes.
Broadcast::channel('anyone.{id}', fn () => true);

Broadcast::channel('denied.{id}', fn () => false);

Broadcast::channel('falsy.{id}', fn () => []);

Broadcast::channel('throwing.{id}', fn () => throw new RuntimeException('This channel always fails.'));

Broadcast::channel('slow.{ms}', function ($user, $ms) {
    usleep(min((int) $ms, 10_000) * 1000);

    return true;
});

// Answers when the test says so: see Laravel.whenHeld() and Laravel.release() in test/support/laravel.ts.
Broadcast::channel('held.{name}', function ($user, $name) {
    touch(storage_path('held-'.basename($name)));
    $released = storage_path('released-'.basename($name));
    for ($deadline = microtime(true) + 20; microtime(true) < $deadline; usleep(5000)) {
        clearstatcache();
        if (file_exists($released)) {
            return true;
        }
    }

    return false;
});
