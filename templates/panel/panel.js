'use strict'
const byId = (id) => document.getElementById(id)
const MOST = 200
let topic = null
let topics = []
let stream = null
let paused = false
let waiting = []

// Everything from Kafka is text to this page, never markup.
function element(name, text, className) {
  const made = document.createElement(name)
  if (text !== undefined) made.textContent = text
  if (className) made.className = className
  return made
}

async function look() {
  try {
    const response = await fetch('/api/overview')
    const overview = await response.json()
    if (!response.ok) throw new Error(overview.error)
    topics = overview.topics
    byId('state').textContent = `${overview.brokers} · connected`
    byId('state').classList.remove('bad')
    showTopics()
    showGroups(overview.groups)
    if (topic === null && topics.length > 0) choose(topics[0].name)
    showPartitions()
  } catch (error) {
    byId('state').textContent = error.message || 'The panel does not answer'
    byId('state').classList.add('bad')
  }
  setTimeout(look, 2000)
}

function showTopics() {
  const focused = document.activeElement?.dataset?.topic
  byId('topics').replaceChildren(...topics.map((one) => {
    const button = element('button', one.name)
    button.type = 'button'
    button.dataset.topic = one.name
    button.setAttribute('aria-current', String(one.name === topic))
    button.append(element('span', String(one.messages), 'count'))
    button.addEventListener('click', () => choose(one.name))
    const item = element('li')
    item.append(button)
    return item
  }))
  if (topics.length === 0) byId('topics').append(element('li', 'There are none yet.', 'empty'))
  if (focused) document.querySelector(`[data-topic="${CSS.escape(focused)}"]`)?.focus()
}

function showGroups(groups) {
  byId('groups').replaceChildren(...groups.map((group) => {
    const item = element('li', group.name)
    const lag = group.lag === null ? 'nothing committed' : `${group.lag} behind`
    item.append(element('div', `${group.state} · ${group.members} members · ${lag}`, 'count'))
    return item
  }))
  if (groups.length === 0) byId('groups').append(element('li', 'There are none. The app reads without a group.', 'empty'))
}

function showPartitions() {
  const found = topics.find((one) => one.name === topic)
  byId('partitions').tBodies[0].replaceChildren(...(found?.partitions ?? []).map((partition) => {
    const row = element('tr')
    const cells = [partition.id, partition.leader, partition.low, partition.high, partition.high - partition.low]
    row.append(...cells.map((cell) => element('td', String(cell))))
    return row
  }))
}

function choose(name) {
  topic = name
  waiting = []
  stream?.close()
  byId('messages').replaceChildren()
  byId('messages-title').textContent = name
  showTopics()
  showPartitions()
  stream = new EventSource(`/api/topics/${encodeURIComponent(name)}/messages`)
  // The browser connects again by itself, and is told the newest messages anew.
  stream.addEventListener('open', () => byId('messages').replaceChildren())
  stream.addEventListener('message', (event) => {
    const message = JSON.parse(event.data)
    if (paused) waiting = [...waiting, message].slice(-MOST)
    else show(message)
  })
}

function show(message) {
  if (message.error) {
    byId('messages').prepend(element('li', message.error, 'empty'))
    return
  }
  const item = element('li')
  const meta = element('div', undefined, 'meta')
  const time = message.timestamp ? new Date(message.timestamp).toLocaleTimeString() : 'no time'
  meta.append(element('span', time), element('span', `partition ${message.partition}, offset ${message.offset}`))
  if (message.key !== null) meta.append(element('span', `key ${typeof message.key === 'string' ? message.key : JSON.stringify(message.key)}`))
  const value = typeof message.value === 'string' ? message.value : JSON.stringify(message.value, null, 2)
  item.append(meta, element('pre', value))
  const headers = message.headers && Object.keys(message.headers).length > 0 ? JSON.stringify(message.headers) : ''
  if (headers) item.append(element('div', headers, 'meta'))
  item.hidden = !matches(item)
  byId('messages').prepend(item)
  while (byId('messages').children.length > MOST) byId('messages').lastElementChild.remove()
}

function matches(item) {
  return item.textContent.toLowerCase().includes(byId('filter').value.toLowerCase())
}

byId('filter').addEventListener('input', () => {
  for (const item of byId('messages').children) item.hidden = !matches(item)
})
byId('pause').addEventListener('click', () => {
  paused = !paused
  byId('pause').textContent = paused ? 'Resume' : 'Pause'
  byId('pause').setAttribute('aria-pressed', String(paused))
  if (!paused) waiting.splice(0).forEach(show)
})
look()
