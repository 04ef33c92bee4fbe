package dev.podidentity.agent.token;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * The SHA-256 of a token's characters, which a cache may store and compare instead of the secret. Two tokens with the same
 * fingerprint are the same token, because nobody can construct a second text with a given SHA-256.
 */
public record TokenFingerprint(long a, long b, long c, long d) {

    public static TokenFingerprint of(String token) {
        ByteBuffer hash = ByteBuffer.wrap(sha256().digest(token.getBytes(StandardCharsets.UTF_8)));
        return new TokenFingerprint(hash.getLong(), hash.getLong(), hash.getLong(), hash.getLong());
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java platform has SHA-256", e);
        }
    }

    /** Written out, because a native executable interprets these methods of a record, and every request looks up tokens. */
    @Override
    public boolean equals(Object other) {
        return other instanceof TokenFingerprint that && a == that.a && b == that.b && c == that.c && d == that.d;
    }

    @Override
    public int hashCode() {
        return Long.hashCode(a);
    }

    /** Returns eight hexadecimal digits: enough to distinguish two tokens in a log, and useless for anything else. */
    @Override
    public String toString() {
        return String.format("%016x", a).substring(0, 8);
    }
}
