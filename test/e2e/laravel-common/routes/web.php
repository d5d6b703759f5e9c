<?php

use App\Auth\InventedUsers;
use App\Events\Announced;
use App\Events\OrderPaid;
use App\Events\OrderShipped;
use App\Events\PriceListed;
use App\Events\StockChanged;
use App\Models\Post;
use App\Notifications\InvoicePaid;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\Facades\Broadcast;
use Illuminate\Support\Facades\Notification;
use Illuminate\Support\Facades\Redis;
use Illuminate\Support\Facades\Route;

Route::get('/', fn () => '<!doctype html><meta name="csrf-token" content="'.csrf_token().'"><title>Acme Shop</title>');

// Where the framework sends a guest who does not ask for JSON.
Route::get('/login', fn () => 'Please log in: /login/1')->name('login');

Route::match(['get', 'post'], '/login/{id}', function (int $id) {
    Auth::loginUsingId($id);

    return ['id' => Auth::id()];
})->whereNumber('id');

Route::match(['get', 'post'], '/logout', function (Request $request) {
    Auth::logout();
    $request->session()->invalidate();
    $request->session()->regenerateToken();

    return ['id' => Auth::id()];
});

Route::get('/whoami', fn () => ['id' => Auth::id(), 'name' => Auth::user()->name ?? null]);

/*
 * /broadcast/order-shipped?id=5&count=3 broadcasts the orders 5, 6 and 7; /broadcast/order-shipped/others leaves out
 * the page whose id is in X-Socket-ID.
 */
Route::match(['get', 'post'], '/broadcast/{event}/{others?}', function (Request $request, string $event, ?string $others = null) {
    $broadcasts = [
        'order-shipped' => fn (int $id) => new OrderShipped($id),
        'order-paid' => fn (int $id) => new OrderPaid($id),
        'stock-changed' => fn (int $id) => new StockChanged($id),
        'price-listed' => fn (int $id) => new PriceListed($id),
        'announced' => fn (int $id) => new Announced($id, $request->input('text', 'Hello'), $request->input('channel', 'news')),
    ];
    abort_unless(isset($broadcasts[$event]), 404);

    $first = (int) $request->input('id', 1);
    $count = (int) $request->input('count', 1);
    for ($id = $first; $id < $first + $count; $id++) {
        $pending = broadcast($broadcasts[$event]($id));
        if ($others) {
            $pending->toOthers();
        }
        // The event leaves when its PendingBroadcast is let go.
        unset($pending);
    }

    return ['broadcast' => $event, 'first' => $first, 'count' => $count];
})->where('others', 'others');

Route::match(['get', 'post'], '/notify/{userId}', function (Request $request, int $userId) {
    Notification::send((new InventedUsers)->retrieveById($userId), new InvoicePaid((int) $request->input('id', 1)));

    return ['notified' => $userId];
})->whereNumber('userId');

// A model that says what happened to it. That it was deleted is said at once; anything else would go through a database.
Route::match(['get', 'post'], '/delete-post/{id}', function (int $id) {
    (new Post(['id' => $id, 'title' => 'Hello']))->broadcastDeleted();

    return ['deleted' => $id];
})->whereNumber('id');

// Takes all guarded channels from a user, as an application does that bans somebody. The connection adds the prefix.
Route::match(['get', 'post'], '/revoke/{userId}', function (int $userId) {
    return ['heard' => Redis::publish('sse:revoke', json_encode(['user' => $userId]))];
})->whereNumber('userId');

// An auth route of the application's own: unlike Laravel's, it wants a CSRF token.
Route::post('/custom/broadcasting/auth', fn (Request $request) => Broadcast::auth($request));
