<?php

namespace App\Models;

use Illuminate\Database\Eloquent\BroadcastsEvents;
use Illuminate\Database\Eloquent\Model;

/** Tells of itself on `private-App.Models.Post.<id>`. There is no database: what is done to it, is only said. */
class Post extends Model
{
    use BroadcastsEvents;

    protected $guarded = [];

    public function broadcastOn($event): array
    {
        return [$this];
    }
}
