<?php

namespace App\Models;

use Illuminate\Auth\GenericUser;
use Illuminate\Notifications\RoutesNotifications;

/** A user without a database. Notifications go to `private-App.Models.User.<id>`. */
class User extends GenericUser
{
    use RoutesNotifications;

    public function getKey(): int
    {
        return $this->attributes['id'];
    }

    /** Newer versions of Pusher's SDK than the one that fits Laravel 8 make a text of it. */
    public function getAuthIdentifierForBroadcasting(): int|string
    {
        return config('broadcasting.default') === 'pusher' ? (string) $this->getKey() : $this->getKey();
    }
}
