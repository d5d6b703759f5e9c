import { describe, expect, it } from 'vitest'
import { Roster } from '../../src/presence/roster.ts'
import { user } from '../support/presence-node.ts'

function rosterOf(maxListed: number, ...ids: string[]): Roster {
  const roster = new Roster({ maxListed })
  for (const id of ids) roster.add(user(id))
  return roster
}

const idsIn = (json: string) => (JSON.parse(json) as { id: string }[]).map(({ id }) => id)

describe('a list', () => {
  it('is empty, then holds who was added, in that order, and no more who was removed', () => {
    const roster = rosterOf(10)
    expect(roster.list('1')).toEqual({ json: '[]', count: null })
    for (const id of ['2', '1', '3']) roster.add(user(id))
    roster.remove('1')
    expect(JSON.parse(roster.list('2').json)).toEqual([
      { id: '2', info: { name: 'User 2' } },
      { id: '3', info: { name: 'User 3' } },
    ])
  })

  it('of as many as may be named has no count', () => {
    expect(rosterOf(3, '1', '2', '3').list('3').count).toBeNull()
  })

  it('of more names the first ones and says how many there are', () => {
    const { json, count } = rosterOf(3, '1', '2', '3', '4', '5').list('2')
    expect([idsIn(json), count]).toEqual([['1', '2', '3'], 5])
  })

  it('of more names in any case who asks, once', () => {
    const roster = rosterOf(3, '1', '2', '3', '4', '5')
    expect(idsIn(roster.list('5').json)).toEqual(['1', '2', '3', '5'])
    expect(idsIn(roster.list('3').json)).toEqual(['1', '2', '3'])
    expect(idsIn(roster.list('nobody').json)).toEqual(['1', '2', '3'])
  })

  it('is printed once for all who come between two changes', () => {
    const roster = rosterOf(3)
    let printed = 0
    const member = {
      id: '1',
      get json() {
        printed += 1
        return '{"id":"1","info":null}'
      },
    }
    roster.add(member)
    for (let times = 0; times < 10; times += 1) roster.list('1')
    expect(printed).toBe(1)
    roster.add(user('2'))
    roster.list('1')
    expect(printed).toBe(2)
  })

  it('keeps apart ids that look like something else', () => {
    const ids = ['__proto__', 'constructor', '1', '01', ' 1', '']
    expect(idsIn(rosterOf(10, ...ids).list('1').json)).toEqual(ids)
  })
})

describe('who is added', () => {
  it('is new the first time only; what is said later replaces what was said', () => {
    const roster = rosterOf(10, '1', '2')
    expect([roster.add(user('3')), roster.add(user('1', 'renamed'))]).toEqual([true, false])
    expect(JSON.parse(roster.list('2').json)[0]).toEqual({ id: '1', info: 'renamed' })
    expect(roster.size).toBe(3)
  })

  it('is returned as last known when removed, once', () => {
    const roster = rosterOf(10, '1')
    roster.add(user('1', 'renamed'))
    expect([roster.remove('1'), roster.remove('1'), roster.has('1')]).toEqual([user('1', 'renamed'), null, false])
  })
})

describe('the state of a list', () => {
  it('is another one when somebody has come or gone, and only then', () => {
    const roster = rosterOf(10, '1')
    const states = [roster.state]
    const look = () => states.push(roster.state)
    roster.add(user('1', 'renamed'))
    roster.remove('nobody')
    roster.list('1')
    look()
    roster.add(user('2'))
    look()
    roster.remove('2')
    look()
    expect(states[1]).toBe(states[0])
    expect(new Set(states).size).toBe(3)
  })

  it('is that of no other list: one that begins anew is news', () => {
    const states = [rosterOf(10), rosterOf(10), rosterOf(10, '1')].map(({ state }) => state)
    expect(new Set(states).size).toBe(3)
  })
})
