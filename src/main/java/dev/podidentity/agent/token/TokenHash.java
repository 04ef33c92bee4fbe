package dev.podidentity.agent.token;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * A fast hash of a token's last characters, for a hash table that then compares the whole token. The last 64 characters
 * belong to the signature, which differs from token to token. Seeded, so that nobody can choose tokens with the same hash.
 * Immutable, any thread.
 */
public final class TokenHash {

    private static final int HASHED = 64;
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    /** The bits of the golden ratio, odd: multiplication by it spreads low bits upwards. */
    private static final long SPREAD = 0x9E3779B97F4A7C15L;

    private final long seed;

    /** @param seed random */
    public TokenHash(long seed) {
        this.seed = seed;
    }

    /** Returns the hash of some characters. */
    public int of(byte[] characters, int from, int to) {
        long hash = seed ^ (to - from);
        int at = Math.max(from, to - HASHED);
        for (; at <= to - Long.BYTES; at += Long.BYTES) {
            hash = mixed(hash, (long) LONGS.get(characters, at));
        }
        for (; at < to; at++) {
            hash = mixed(hash, characters[at]);
        }
        return (int) (hash >>> Integer.SIZE);
    }

    private static long mixed(long hash, long next) {
        long product = (hash ^ next) * SPREAD;
        return product ^ product >>> Integer.SIZE;
    }
}
