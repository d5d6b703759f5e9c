/**
 * What an application is told of its channels, member by member as Pusher writes it.
 * Source: https://pusher.com/docs/channels/server_api/webhooks/
 */
export type WebhookEvent =
  | { readonly name: 'channel_occupied' | 'channel_vacated' | 'cache_miss'; readonly channel: string }
  | { readonly name: 'member_added' | 'member_removed'; readonly channel: string; readonly user_id: string }
  | {
      readonly name: 'client_event'
      readonly channel: string
      readonly event: string
      /** JSON as a text, as pusher-js would have sent it. */
      readonly data: string
      readonly socket_id: string
      /** On presence channels. */
      readonly user_id?: string
    }
  | { readonly name: 'subscription_count'; readonly channel: string; readonly subscription_count: number }

export type WebhookName = WebhookEvent['name']

export const WEBHOOK_NAMES = [
  'channel_occupied',
  'channel_vacated',
  'member_added',
  'member_removed',
  'client_event',
  'cache_miss',
  'subscription_count',
] as const satisfies readonly WebhookName[]
