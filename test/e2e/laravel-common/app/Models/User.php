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
}
