<?php

namespace App\Events;

use Illuminate\Broadcasting\Channel;
use Illuminate\Broadcasting\InteractsWithSockets;
use Illuminate\Contracts\Broadcasting\ShouldBroadcast;

/** Everything by default: goes through the queue, is named after its class, carries its public properties. */
class OrderShipped implements ShouldBroadcast
{
    use InteractsWithSockets;

    public function __construct(public int $id) {}

    public function broadcastOn(): Channel
    {
        return new Channel('orders');
    }
}
