import { configureEcho, echo } from '@laravel/echo-vue'
import { Echo, SsePusher } from 'laravel-echo-sse'
import { createApp, isReactive, reactive } from 'vue'
import App from './App.vue'

configureEcho({ broadcaster: 'reverb', Pusher: SsePusher, url: '/sse' })

/** What is on the page. Tests change it by `show`. */
const shown = reactive({ board: '', version: 1, ears: [], number: 1, news: false })
createApp(App, { shown }).mount(document.body.appendChild(document.createElement('main')))

Object.assign(globalThis, { Echo, echo, isReactive, reactive, show: (change) => void Object.assign(shown, change) })
