package dev.podidentity.agent.token;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * The SHA-256 of a token's characters: what a cache may keep and compare instead of the secret itself. Two tokens
 * with one fingerprint are the same token, as nobody can make a second text with a given SHA-256.
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

    /** Written out, as a native executable interprets what a record has by itself, and every request looks tokens up. */
    @Override
    public boolean equals(Object other) {
        return other instanceof TokenFingerprint that && a == that.a && b == that.b && c == that.c && d == that.d;
    }

    @Override
    public int hashCode() {
        return Long.hashCode(a);
    }

    /** Eight hexadecimal digits: enough to tell two tokens apart in a log, useless for anything else. */
    @Override
    public String toString() {
        return String.format("%016x", a).substring(0, 8);
    }
}
