<?php

namespace App\Events;

use Illuminate\Broadcasting\InteractsWithSockets;
use Illuminate\Contracts\Broadcasting\ShouldBroadcastNow;

/** Any text on any channel: `channel` is the whole name, `private-orders.1` for instance. */
class Announced implements ShouldBroadcastNow
{
    use InteractsWithSockets;

    public function __construct(public int $id, public string $text, private string $channel) {}

    public function broadcastOn(): string
    {
        return $this->channel;
    }
}
