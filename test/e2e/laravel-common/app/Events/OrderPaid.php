<?php

namespace App\Events;

use Illuminate\Broadcasting\InteractsWithSockets;
use Illuminate\Broadcasting\PrivateChannel;
use Illuminate\Contracts\Broadcasting\ShouldBroadcastNow;

/** Passes the queue by, has a name and a payload of its own, on the private channel of one user. */
class OrderPaid implements ShouldBroadcastNow
{
    use InteractsWithSockets;

    public function __construct(private int $userId) {}

    public function broadcastOn(): PrivateChannel
    {
        return new PrivateChannel("orders.{$this->userId}");
    }

    public function broadcastAs(): string
    {
        return 'order.paid';
    }

    public function broadcastWith(): array
    {
        return ['paid' => true];
    }
}
