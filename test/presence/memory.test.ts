import { expect } from 'vitest'
import { MemoryPresenceStore } from '../../src/presence/memory.ts'
import { PRESENCE_TRAFFIC, type PresenceNews } from '../../src/presence/store.ts'
import { presenceStoreContract } from '../contract/presence-store.ts'
import { PresenceEars } from '../support/presence-ears.ts'

presenceStoreContract('MemoryPresenceStore', async () => {
  const ears = new PresenceEars()
  const store = new MemoryPresenceStore({
    publish: async (channel, payload) => {
      expect(channel).toBe(PRESENCE_TRAFFIC)
      ears.hear(payload)
    },
  })
  const news: PresenceNews[] = []
  store.start({ onForgotten: () => {}, onNews: (one) => news.push(one) })
  return { store, ears, news, close: () => store.stop() }
})
