import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'
import { gateway } from './stand-in/gateway.ts'
import { laravel } from './stand-in/laravel.ts'

const GATEWAY = process.env.GATEWAY || 'http://127.0.0.1:6001'

const source = (file: string) => fileURLToPath(new URL(`../src/${file}`, import.meta.url))

export default defineConfig({
  plugins: [vue(), laravel(GATEWAY), gateway(GATEWAY)],
  server: {
    // Where the gateway looks for Laravel when nobody has told it.
    port: 8000,
    strictPort: true,
    // What nginx does elsewhere: the gateway is below the page's own origin, so cookies go along by themselves.
    proxy: {
      '^/as/\\w+/sse/': { target: GATEWAY, rewrite: (path) => path.replace(/^\/as\/\w+\/sse/, ''), xfwd: true },
    },
  },
  // An application installs the package; in this repository its sources are next door.
  resolve: {
    alias: [
      { find: /^laravel-echo-sse$/, replacement: source('index.ts') },
      { find: /^laravel-echo-sse\/vue$/, replacement: source('vue.ts') },
    ],
  },
})
