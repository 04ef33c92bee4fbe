package dev.podidentity.agent.http;

import dev.podidentity.agent.token.ServiceAccountToken;
import java.util.Arrays;

/**
 * The heads of requests for credentials that were decoded and served before, each without its token. An SDK writes its
 * requests in the same way each time, so few are needed. A head that equals one of them, apart from the token, asks for the
 * same thing with the same headers, so it need not be decoded.
 *
 * <p>Bounded: the least recently used head is replaced. Confined to the event loop.
 */
final class KnownHeads {

    /** More than there are SDKs. */
    static final int MOST = 16;
    /** SDKs' heads have 150 to 400 bytes in addition to the token. */
    static final int LONGEST = 1024;

    /** The most recently used head comes first. */
    private final KnownHead[] heads = new KnownHead[MOST];
    private int size;

    /**
     * The bytes of a head around its token.
     *
     * @param before all bytes before the token
     * @param after all bytes after it
     * @param last whether the request asks to close the connection
     */
    record KnownHead(byte[] before, byte[] after, boolean last) {

        /** Returns whether the first bytes equal this head, with any text in place of the token. */
        boolean matches(byte[] bytes, int length) {
            int tokenEnd = length - after.length;
            return before.length < tokenEnd
                    && Arrays.equals(bytes, tokenEnd, length, after, 0, after.length)
                    && Arrays.equals(bytes, 0, before.length, before, 0, before.length);
        }
    }

    /** Returns the head that the first bytes equal, or null. */
    KnownHead find(byte[] bytes, int length) {
        for (int i = 0; i < size; i++) {
            KnownHead head = heads[i];
            if (head.matches(bytes, length)) {
                if (i > 0) {
                    toFront(head, i);
                }
                return head;
            }
        }
        return null;
    }

    /**
     * Remembers the head of a request that was decoded, accepted and served.
     *
     * @param bytes starts with the head
     * @param token the token in it
     * @param last whether the request asks to close the connection
     */
    void learn(byte[] bytes, int length, ServiceAccountToken token, boolean last) {
        int at = token.onlyPlaceIn(bytes, length);
        if (at < 0 || length - token.length() > LONGEST || find(bytes, length) != null) {
            return;
        }
        KnownHead head = new KnownHead(
                Arrays.copyOf(bytes, at), Arrays.copyOfRange(bytes, at + token.length(), length), last);
        size = Math.min(MOST, size + 1);
        toFront(head, size - 1);
    }

    private void toFront(KnownHead head, int from) {
        System.arraycopy(heads, 0, heads, 1, from);
        heads[0] = head;
    }
}
