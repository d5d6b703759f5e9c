import Echo from 'laravel-echo-sse'
import { ref } from 'vue'

/** Something may have been missed; an application loads its state anew. */
export const hasGap = ref(false)

export const echo = new Echo({
  // Relative to the page: /as/Ada/sse. Elsewhere it is '/sse', or the gateway's whole address.
  url: 'sse',
  // `toOthers()` leaves out the page whose X-Socket-ID came with the request.
  interceptFetch: true,
  onGap: () => {
    hasGap.value = true
  },
})

// Vite loads this file anew when it changes; the stream of the old one would stay open.
import.meta.hot?.dispose(() => echo.disconnect())

/** Payloads by event, so that `listen` knows them. */
declare global {
  interface Events {
    OrderShipped: { id: number }
    InvoicePaid: { id: number; amount: number }
    MessageSent: { from: string; text: string }
  }
}
