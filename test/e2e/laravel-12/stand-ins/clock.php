<?php

/* The interface Carbon declares itself against, so that symfony/clock is not needed: partial copies of Packagist lack it. */

namespace Symfony\Component\Clock;

use DateTimeZone;
use Psr\Clock\ClockInterface as PsrClock;

if (! interface_exists(ClockInterface::class)) {
    interface ClockInterface extends PsrClock
    {
        public function sleep(float|int $seconds): void;

        public function withTimeZone(DateTimeZone|string $timezone): static;
    }
}
