import { clientInBrowser } from '../contract/client-in-browser.ts'
import { WEBKIT } from '../support/browsers.ts'

clientInBrowser(WEBKIT)
