import { MemoryOccupancyStore } from '../../src/occupancy/memory.ts'
import { occupancyStoreContract } from '../contract/occupancy-store.ts'

occupancyStoreContract('MemoryOccupancyStore', async () => ({
  store: new MemoryOccupancyStore(),
  close: async () => {},
}))
