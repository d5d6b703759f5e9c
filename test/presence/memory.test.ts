import { expect } from 'vitest'
import { MemoryPresenceStore } from '../../src/presence/memory.ts'
import { PRESENCE_TRAFFIC } from '../../src/presence/store.ts'
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
  store.start()
  return { store, ears, close: () => store.stop() }
})
