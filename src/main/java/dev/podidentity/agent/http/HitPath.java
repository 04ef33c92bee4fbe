package dev.podidentity.agent.http;

import dev.podidentity.agent.credentials.CachedTokens;
import dev.podidentity.agent.credentials.Credentials;
import dev.podidentity.agent.http.KnownHeads.KnownHead;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.RequestOutcome;
import dev.podidentity.agent.token.ServiceAccountToken;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpVersion;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * Answers a request that differs in nothing but its time from one that was served before: a head that is known, around a
 * token that is known, for credentials that are cached. Every other request goes the whole way through decoder, guard and
 * {@link CredentialsHandler}, which answers this one byte for byte the same. Confined to the event loop.
 */
final class HitPath {

    /** Of the whole way, so that a hit leaves the same line. */
    private static final Logger LOG = Logger.getLogger(CredentialsHandler.class);
    private final CachedTokens tokens;
    private final SourceRateLimit rate;
    private final BooleanSupplier draining;
    private final Metrics metrics;
    private final LongSupplier nanos;
    private final KnownHeads heads = new KnownHeads();
    /** The head that is looked at. */
    private final byte[] bytes = new byte[RequestHeads.LARGEST_HEADERS];

    /**
     * @param rate counts the requests of each source, as those that go the whole way
     * @param draining whether each answer is to end its connection
     * @param nanos a monotonic clock
     */
    HitPath(
            CachedTokens tokens, SourceRateLimit rate, BooleanSupplier draining, Metrics metrics, LongSupplier nanos) {
        this.tokens = tokens;
        this.rate = rate;
        this.draining = draining;
        this.metrics = metrics;
        this.nanos = nanos;
    }

    /**
     * A response, to be sent at once.
     *
     * @param bytes all of it, for the caller to release
     * @param last whether it is the last of its connection, and says so
     */
    record Hit(ByteBuf bytes, boolean last) {}

    /**
     * Answers what has come from a connection, if that is just one known request.
     *
     * @param received is read if it is answered, and left alone otherwise
     * @param source the address it came from
     * @return null if the request has to go the whole way
     */
    Hit answer(ByteBuf received, String source, ByteBufAllocator buffers) {
        int length = received.readableBytes();
        if (length > bytes.length) {
            return null;
        }
        received.getBytes(received.readerIndex(), bytes, 0, length);
        KnownHead head = heads.find(bytes, length);
        if (head == null) {
            return null;
        }
        long began = nanos.getAsLong();
        if (!rate.allows(source, began)) {
            return null;
        }
        Credentials credentials = tokens.hit(bytes, head.before().length, length - head.after().length);
        if (credentials == null) {
            // It is counted when it goes the whole way.
            rate.giveBack(source);
            return null;
        }
        received.skipBytes(length);
        boolean last = head.last() || draining.getAsBoolean();
        ByteBuf response = credentials.answer().response(buffers, last);
        metrics.answered(CredentialsHandler.OK, RequestOutcome.SERVED, CacheOutcome.HIT, nanos.getAsLong() - began);
        LOG.trace("Served credentials");
        return new Hit(response, last);
    }

    /**
     * Remembers the head of a request that went the whole way and was served from the cache.
     *
     * @param received the bytes of the head; are not read
     * @param head what they were decoded to
     * @param token that was read from it
     */
    void learn(ByteBuf received, HeadDecoder.Head head, ServiceAccountToken token) {
        int length = received.readableBytes();
        if (takes(head.request()) && length <= bytes.length) {
            received.getBytes(received.readerIndex(), bytes, 0, length);
            heads.learn(bytes, length, token, head.last());
        }
    }

    /** Whether the answer to a request that is served is the whole response as it was made for cache hits. */
    static boolean takes(HttpRequest request) {
        return request.method().equals(HttpMethod.GET) && request.protocolVersion().equals(HttpVersion.HTTP_1_1);
    }
}
