import pg from 'pg'

const VIDEO = 'id, owner_id, title, description, url, created_at, updated_at'
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

    addRefreshToken: ({ id, userId, familyId, tokenHash, expiresAt }) =>
      rows(
        'add-refresh-token',
        `INSERT INTO refresh_tokens (id, user_id, family_id, token_hash, expires_at) VALUES ($1, $2, $3, $4, $5)`,
        [id, userId, familyId, tokenHash, expiresAt],
      ),
    async useRefreshToken(tokenHash) {
      const used = await row(
        'use-refresh-token',
        `UPDATE refresh_tokens SET used_at = now()
         WHERE token_hash = $1 AND used_at IS NULL AND expires_at > now()
         RETURNING user_id AS "userId", family_id AS "familyId"`,
        [tokenHash],
      )
      if (!used) await this.revokeFamilyOf(tokenHash)
      return used
    },
    revokeFamilyOf: (tokenHash, userId = null) =>
      rows(
        'revoke-family',
        `UPDATE refresh_tokens SET used_at = now()
         WHERE used_at IS NULL AND family_id =
           (SELECT family_id FROM refresh_tokens
            WHERE token_hash = $1 AND ($2::uuid IS NULL OR user_id = $2))`,
        [tokenHash, userId],
      ),

    listVideos: ({ before, search, limit }) => {
      // A statement for each case, so that each gets the plan that fits it.
      const values = [limit]
      const conditions = []
      if (before) conditions.push(`id < $${values.push(before)}`)
      if (search) conditions.push(`title ILIKE $${values.push(`%${search.replace(/[\\%_]/g, '\\$&')}%`)}`)
      const where = conditions.length ? `WHERE ${conditions.join(' AND ')}` : ''
      const name = `list-videos${before ? '-before' : ''}${search ? '-search' : ''}`
      return rows(name, `SELECT ${VIDEO} FROM videos ${where} ORDER BY id DESC LIMIT $1`, values)
    },
    addVideo: ({ id, ownerId, title, description, url }) =>
      row(
        'add-video',
        `INSERT INTO videos (id, owner_id, title, description, url) VALUES ($1, $2, $3, $4, $5) RETURNING ${VIDEO}`,
        [id, ownerId, title, description, url],
      ),
    findVideo: (id) => row('find-video', `SELECT ${VIDEO} FROM videos WHERE id = $1`, [id]),
    changeVideo: (id, { title, description, url }) =>
      row(
        'change-video',
        `UPDATE videos SET title = coalesce($2, title), description = coalesce($3, description),
           url = coalesce($4, url), updated_at = now()
         WHERE id = $1 RETURNING ${VIDEO}`,
        [id, title, description, url],
      ),
    removeVideo: (id) => rows('remove-video', 'DELETE FROM videos WHERE id = $1', [id]),
  }
}
