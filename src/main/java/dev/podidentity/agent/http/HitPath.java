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
 * The fast path: serves a request that differs only in its time from one that was served before, with a known head, a known
 * token and cached credentials. All other requests take the full path through decoder, guard and {@link CredentialsHandler},
 * which would send the same bytes. Confined to the event loop.
 */
final class HitPath {

    /** The logger of the full path, so that a hit leaves the same line. */
    private static final Logger LOG = Logger.getLogger(CredentialsHandler.class);
    private final CachedTokens tokens;
    private final SourceRateLimit rate;
    private final BooleanSupplier draining;
    private final Metrics metrics;
    private final LongSupplier nanos;
    private final KnownHeads heads = new KnownHeads();
    /** The head being examined. */
    private final byte[] bytes = new byte[RequestHeads.LARGEST_HEADERS];

    /**
     * @param rate counts the requests of each source, as on the full path
     * @param draining whether each response closes its connection
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
     * A response that can be sent immediately.
     *
     * @param bytes the complete response, which the caller releases
     * @param last whether it is the last of its connection, and says so
     */
    record Hit(ByteBuf bytes, boolean last) {}

    /**
     * Serves the received bytes if they are exactly one known request.
     *
     * @param received consumed if served, and unchanged otherwise
     * @param source the client's address
     * @return null if the request must take the full path
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
            // The full path counts it.
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
     * Remembers the head of a request that took the full path and was served from the cache.
     *
     * @param received the bytes of the head; not consumed
     * @param head the decoded head
     * @param token the token in it
     */
    void learn(ByteBuf received, HeadDecoder.Head head, ServiceAccountToken token) {
        int length = received.readableBytes();
        if (takes(head.request()) && length <= bytes.length) {
            received.getBytes(received.readerIndex(), bytes, 0, length);
            heads.learn(bytes, length, token, head.last());
        }
    }

    /** Returns whether the response to a served request is the complete response that was created for cache hits. */
    static boolean takes(HttpRequest request) {
        return request.method().equals(HttpMethod.GET) && request.protocolVersion().equals(HttpVersion.HTTP_1_1);
    }
}
