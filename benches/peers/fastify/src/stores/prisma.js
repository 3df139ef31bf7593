import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from '@prisma/client'

const USER = { id: true, email: true, name: true, created_at: true }
// One statement with a join, where the default would send a second query for the owners.
const WITH_OWNER = {
  omit: { ownerId: true },
  include: { owner: { select: { id: true, name: true } } },
  relationLoadStrategy: 'join',
}
const UNIQUE_VIOLATION = 'P2002'

/** Prisma through its driver adapter: no engine process, the same pool as the bare driver's. */
export async function createStore({ databaseUrl, poolSize }) {
  const adapter = new PrismaPg({ connectionString: databaseUrl, max: poolSize })
  const prisma = new PrismaClient({ adapter })
  await prisma.$connect()

  return {
    ping: () => prisma.$queryRaw`SELECT 1`,
    close: () => prisma.$disconnect(),

    addUser: ({ id, email, name, passwordHash }) =>
      prisma.user.create({ data: { id, email, name, passwordHash }, select: USER }).catch((error) => {
        if (error.code === UNIQUE_VIOLATION) return undefined
        throw error
      }),
    findUser: (id) => prisma.user.findUnique({ where: { id }, select: USER }),
    findCredentials: (email) =>
      prisma.user.findUnique({ where: { email }, select: { id: true, passwordHash: true } }),

    addRefreshToken: (data) => prisma.refreshToken.create({ data, select: { userId: true } }),
    async useRefreshToken(tokenHash) {
      const [used] = await prisma.refreshToken.updateManyAndReturn({
        where: { tokenHash, usedAt: null, expiresAt: { gt: new Date() } },
        data: { usedAt: new Date() },
        select: { userId: true, family: true },
      })
      // Used before: whoever holds the other copy is logged out as well.
      if (!used) await this.endFamilyOf(tokenHash)
      return used
    },
    async endFamilyOf(tokenHash) {
      const token = await prisma.refreshToken.findUnique({ where: { tokenHash }, select: { family: true } })
      if (token) await prisma.refreshToken.deleteMany({ where: token })
    },

    listVideos: ({ before, search, limit }) =>
      prisma.video.findMany({
        where: { id: before && { lt: before }, title: search && { contains: search, mode: 'insensitive' } },
        orderBy: { id: 'desc' },
        take: limit,
        ...WITH_OWNER,
      }),
    addVideo: ({ id, ownerId, title, description, url }) =>
      prisma.video.create({ data: { id, ownerId, title, description, url }, ...WITH_OWNER }),
    findVideo: (id) => prisma.video.findUnique({ where: { id }, ...WITH_OWNER }),
    changeVideo: (id, { title, description, url }) =>
      prisma.video.update({
        where: { id },
        data: { title, description, url, updated_at: new Date() },
        ...WITH_OWNER,
      }),
    removeVideo: (id) => prisma.video.deleteMany({ where: { id } }),
  }
}
