import pg from 'pg'

const COLUMNS = 'v.id, v.title, v.description, v.url, v.owner_id, u.name AS owner_name, v.created_at, v.updated_at'
const selectVideos = (source) => `SELECT ${COLUMNS} FROM ${source} JOIN users u ON u.id = v.owner_id`
const USER = 'id, email, name, created_at'
const UNIQUE_VIOLATION = '23505'

/** The bare driver. Every statement has a name, so that PostgreSQL parses and plans it once a connection. */
export async function createStore({ databaseUrl, poolSize }) {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: poolSize })
  const rows = async (name, text, values) => (await pool.query({ name, text, values })).rows
  const row = async (name, text, values) => (await rows(name, text, values))[0]

  return {
    ping: () => pool.query('SELECT 1'),
    close: () => pool.end(),

    addUser: ({ id, email, name, passwordHash }) =>
      row(
        'add-user',
        `INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, $4) RETURNING ${USER}`,
        [id, email, name, passwordHash],
      ).catch((error) => {
        if (error.code === UNIQUE_VIOLATION) return undefined
        throw error
      }),
    findUser: (id) => row('find-user', `SELECT ${USER} FROM users WHERE id = $1`, [id]),
    findCredentials: (email) =>
      row('find-credentials', 'SELECT id, password_hash AS "passwordHash" FROM users WHERE email = $1', [email]),

    addRefreshToken: ({ tokenHash, family, userId, expiresAt }) =>
      rows(
        'add-refresh-token',
        'INSERT INTO refresh_tokens (token_hash, family, user_id, expires_at) VALUES ($1, $2, $3, $4)',
        [tokenHash, family, userId, expiresAt],
      ),
    async useRefreshToken(tokenHash) {
      const used = await row(
        'use-refresh-token',
        `UPDATE refresh_tokens SET used_at = now()
         WHERE token_hash = $1 AND used_at IS NULL AND expires_at > now()
         RETURNING user_id AS "userId", family`,
        [tokenHash],
      )
      // Used before: whoever holds the other copy is logged out as well.
      if (!used) await this.endFamilyOf(tokenHash)
      return used
    },
    endFamilyOf: (tokenHash) =>
      rows(
        'end-family',
        'DELETE FROM refresh_tokens WHERE family = (SELECT family FROM refresh_tokens WHERE token_hash = $1)',
        [tokenHash],
      ),

    listVideos: async ({ before, search, limit }) => {
      // A statement for each case, so that each gets the plan that fits it.
      const values = [limit]
      const conditions = []
      if (before) conditions.push(`v.id < $${values.push(before)}`)
      if (search) conditions.push(`v.title ILIKE $${values.push(`%${search.replace(/[\\%_]/g, '\\$&')}%`)}`)
      const where = conditions.length ? `WHERE ${conditions.join(' AND ')}` : ''
      const name = `list-videos${before ? '-before' : ''}${search ? '-search' : ''}`
      return (await rows(name, `${selectVideos('videos v')} ${where} ORDER BY v.id DESC LIMIT $1`, values)).map(withOwner)
    },
    addVideo: ({ id, ownerId, title, description, url }) =>
      row(
        'add-video',
        `WITH v AS (INSERT INTO videos (id, owner_id, title, description, url) VALUES ($1, $2, $3, $4, $5) RETURNING *)
         ${selectVideos('v')}`,
        [id, ownerId, title, description, url],
      ).then(withOwner),
    findVideo: (id) => row('find-video', `${selectVideos('videos v')} WHERE v.id = $1`, [id]).then(withOwner),
    changeVideo: (id, { title, description, url }) =>
      row(
        'change-video',
        `WITH v AS (UPDATE videos SET title = coalesce($2, title), description = coalesce($3, description),
           url = coalesce($4, url), updated_at = now() WHERE id = $1 RETURNING *)
         ${selectVideos('v')}`,
        [id, title, description, url],
      ).then(withOwner),
    removeVideo: (id) => rows('remove-video', 'DELETE FROM videos WHERE id = $1', [id]),
  }
}

const withOwner = (row) =>
  row && {
    id: row.id,
    title: row.title,
    description: row.description,
    url: row.url,
    owner: { id: row.owner_id, name: row.owner_name },
    created_at: row.created_at,
    updated_at: row.updated_at,
  }
