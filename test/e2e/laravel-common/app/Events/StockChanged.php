<?php

namespace App\Events;

use Illuminate\Broadcasting\Channel;
use Illuminate\Broadcasting\InteractsWithSockets;
use Illuminate\Broadcasting\PresenceChannel;
use Illuminate\Broadcasting\PrivateChannel;
use Illuminate\Contracts\Broadcasting\ShouldBroadcast;

/** One event on three channels, one of each kind. */
class StockChanged implements ShouldBroadcast
{
    use InteractsWithSockets;

    public function __construct(public int $id) {}

    public function broadcastOn(): array
    {
        return [new Channel('stock'), new PrivateChannel("orders.{$this->id}"), new PresenceChannel("room.{$this->id}")];
    }
}
