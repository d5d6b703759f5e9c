<?php

namespace App\Events;

use Illuminate\Broadcasting\Channel;
use Illuminate\Contracts\Broadcasting\ShouldBroadcastNow;

/** Values that a careless JSON round trip would change. */
class PriceListed implements ShouldBroadcastNow
{
    public function __construct(private int $id) {}

    public function broadcastOn(): Channel
    {
        return new Channel('prices');
    }

    public function broadcastWith(): array
    {
        return [
            'id' => $this->id,
            'name' => "Zoë's café – 日本 🚀 <b>&\u{2028}\n",
            'price' => 0.1 + 0.2,
            'whole' => 1.0,
            'serial' => 9007199254740993,
            'largest' => PHP_INT_MAX,
            'path' => 'a/b\\c',
            'empty' => [],
            'nothing' => null,
        ];
    }
}
