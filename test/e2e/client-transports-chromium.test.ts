import { clientInBrowser } from '../contract/client-in-browser.ts'
import { CHROMIUM } from '../support/browsers.ts'

clientInBrowser(CHROMIUM)
