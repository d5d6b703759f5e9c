import { clientInBrowser } from '../contract/client-in-browser.ts'
import { FIREFOX } from '../support/browsers.ts'

clientInBrowser(FIREFOX)
