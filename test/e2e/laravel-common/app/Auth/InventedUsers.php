<?php

namespace App\Auth;

use App\Models\User;
use Illuminate\Contracts\Auth\Authenticatable;
use Illuminate\Contracts\Auth\UserProvider;

/** Every positive number is a user, so that a test may have as many as it likes. The bearer token of user 7 is `token-7`. */
class InventedUsers implements UserProvider
{
    private const NAMES = [1 => 'Ada', 2 => 'Grace', 3 => 'Zoë'];

    public function retrieveById($identifier): ?User
    {
        $id = (int) $identifier;

        return $id > 0 ? new User([
            'id' => $id,
            'name' => self::NAMES[$id] ?? "User $id",
            'password' => '',
            'remember_token' => '',
        ]) : null;
    }

    public function retrieveByCredentials(array $credentials): ?User
    {
        return preg_match('/^token-(\d+)$/D', $credentials['api_token'] ?? '', $match) ? $this->retrieveById($match[1]) : null;
    }

    public function retrieveByToken($identifier, $token): ?User
    {
        return null;
    }

    public function updateRememberToken(Authenticatable $user, $token): void {}

    public function validateCredentials(Authenticatable $user, array $credentials): bool
    {
        return false;
    }

    public function rehashPasswordIfRequired(Authenticatable $user, array $credentials, bool $force = false): void {}
}
