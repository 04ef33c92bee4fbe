package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.loop.Shares;
import io.smallrye.config.WithDefault;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * Everything that clients can make the agent hold at the same time fits into its heap, and into the container of the
 * manifests: the arithmetic of docs/decisions/0010-what-unfinished-work-may-cost.md, with the actual limits.
 */
class MemoryBudgetTest {

    private static final long KIB = 1024;
    private static final long MIB = 1024 * KIB;

    private static final long SOURCES = Shares.SOURCES;

    // Measured with the native executable.
    private static final long HEAP_OF_THE_AGENT_ITSELF = 3 * MIB;
    private static final long CONNECTION = 5_632;
    /** A connection that was accepted and waits for the event loop. */
    private static final long ACCEPTED = 1_280;
    private static final long CACHED_IDENTITY = 4 * KIB;
    private static final long DATA_AND_STACKS = 7 * MIB;
    private static final long CONNECTION_IN_THE_KERNEL = 5 * KIB;

    // Private limits of other packages.
    private static final long TOKENS_THAT_WAIT_FOR_A_CALL = limit("credentials.FetchQueue", "MOST_BYTES")
            + SOURCES * limit("credentials.FetchQueue", "RESERVED_PER_SOURCE");
    private static final long TOKENS_THAT_WAIT_TO_BE_VERIFIED = limit("verification.VerificationRoom", "MOST")
            + SOURCES * limit("verification.VerificationRoom", "RESERVE");
    private static final long LOG_LINES = limit("observe.Logging", "MOST_HEAP_BYTES");
    private static final long VERDICT = KIB;
    /** Including what EKS Auth said: at most 256 characters and an ID. */
    private static final long FAILURE = 704;
    private static final long REMEMBERED_TOKENS = limit("ClusterFeatures", "TOKENS_REMEMBERED") * VERDICT
            + limit("credentials.FailureMemory", "CAPACITY") * FAILURE
            + limit("credentials.RefusedTokens", "CAPACITY") * FAILURE;
    private static final long SOURCE = 112;
    /** For requests, failed calls, scrapes, and other requests on two listeners. */
    private static final int RATES = 6;
    private static final long REMEMBERED_SOURCES = RATES * limit("loop.SourceRateLimit", "MOST_SOURCES") * SOURCE;
    /** The TLS records of a hundred calls. */
    private static final long CALLS_ON_THE_WIRE = 2 * MIB;

    private static final ConnectionLimits CREDENTIALS = ConnectionLimits.credentials(
            Integer.parseInt(byDefault("maxConnections")),
            Integer.parseInt(byDefault("maxConnectionsPerSource")),
            Duration.ofSeconds(10));
    private static final ConnectionLimits OPERATIONS = ConnectionLimits.operations(Duration.ofSeconds(10));

    @Test
    void fitsTheHeapWithEverythingUsedUpAtOnce() throws IOException {
        assertThat(liveAtWorst() + buildArgument("MaxNewSize")).isLessThanOrEqualTo(buildArgument("MaxHeapSize"));
    }

    @Test
    void fitsTheContainerWithEverythingUsedUpAtOnceWhileTheCollectorCopies() throws IOException {
        long sockets = CREDENTIALS.connections() * (CONNECTION_IN_THE_KERNEL + kernelBuffers());
        long worst = buildArgument("MaxHeapSize") + liveAtWorst() + buildArgument("MaxDirectMemorySize")
                + DATA_AND_STACKS + sockets;

        assertThat(worst).isLessThanOrEqualTo(manifest("limits"));
    }

    @Test
    void fitsTheRequestOfTheContainerWithAFullCacheAndAConnectionOfEachPod() throws IOException {
        long live = HEAP_OF_THE_AGENT_ITSELF + cache() + SOURCES * CONNECTION;
        long usual = 2 * live + buildArgument("MaxNewSize") + DATA_AND_STACKS + SOURCES * CONNECTION_IN_THE_KERNEL;

        assertThat(usual).isLessThanOrEqualTo(manifest("requests"));
    }

    @Test
    void fitsTheDirectMemoryWithEveryAnswerUnread() throws IOException {
        long reads = 2 * Listeners.SOCKET_BUFFER;
        // The response of a request is included in the request's charge.
        long answers = requests(CREDENTIALS, SOURCES) + 2 * requests(OPERATIONS, OPERATIONS.connections());

        assertThat(answers + reads + CALLS_ON_THE_WIRE).isLessThanOrEqualTo(buildArgument("MaxDirectMemorySize"));
    }

    @Test
    void reservesOneRequestOfAnSdkForEachSource() {
        // Given: the largest usual token, and the headers of the SDK that sends most
        int token = 4 * 1024;
        int otherHeaders = 600;
        int lines = 12;
        // Then
        assertThat(CREDENTIALS.cost(token + otherHeaders, lines)).isLessThanOrEqualTo(CREDENTIALS.requestBytesReserved());
        assertThat(OPERATIONS.cost(OPERATIONS.largestHeaders(), lines)).isLessThanOrEqualTo(OPERATIONS.requestBytesReserved());
    }

    @Test
    void letsTwoSourcesHaveAThousandConnectionsEach() {
        assertThat(CREDENTIALS.connectionsPerSource()).isGreaterThanOrEqualTo(1_000);
        assertThat(CREDENTIALS.connections()).isGreaterThanOrEqualTo(2 * CREDENTIALS.connectionsPerSource());
    }

    private static long liveAtWorst() {
        return HEAP_OF_THE_AGENT_ITSELF
                + cache()
                + (CREDENTIALS.connections() + 2L * OPERATIONS.connections()) * CONNECTION
                + 2L * AcceptGate.MOST * ACCEPTED
                + requests(CREDENTIALS, SOURCES)
                + 2 * requests(OPERATIONS, OPERATIONS.connections())
                + TOKENS_THAT_WAIT_FOR_A_CALL
                + TOKENS_THAT_WAIT_TO_BE_VERIFIED
                + REMEMBERED_TOKENS
                + REMEMBERED_SOURCES
                + LOG_LINES;
    }

    private static long cache() {
        return Long.parseLong(byDefault("maxCacheSize")) * CACHED_IDENTITY;
    }

    /** The total plus the reserves of this many sources. */
    private static long requests(ConnectionLimits limits, long sources) {
        return limits.requestBytes() + sources * limits.requestBytesReserved();
    }

    /** The kernel doubles the requested size, in each direction. */
    private static long kernelBuffers() {
        return 2 * 2 * Listeners.SOCKET_BUFFER;
    }

    /** A limit of another package that only this calculation needs. */
    private static long limit(String type, String constant) {
        try {
            Field field = Class.forName("dev.podidentity.agent." + type).getDeclaredField(constant);
            field.setAccessible(true);
            return ((Number) field.get(null)).longValue();
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String byDefault(String property) {
        try {
            return AgentConfig.class.getMethod(property).getAnnotation(WithDefault.class).value();
        } catch (NoSuchMethodException e) {
            throw new IllegalStateException(e);
        }
    }

    private static long buildArgument(String name) throws IOException {
        Properties properties = new Properties();
        try (InputStream file = MemoryBudgetTest.class.getResourceAsStream("/application.properties")) {
            properties.load(file);
        }
        return number(properties.getProperty("quarkus.native.additional-build-args"), "-R:" + name + "=(\\d+)m");
    }

    /** @param kind requests or limits */
    private static long manifest(String kind) throws IOException {
        return number(Files.readString(Path.of("kubernetes/base/daemonset.yaml")), kind + ":(?:\\s+[^\\n]*\\n)*?\\s+memory:"
                + " (\\d+)Mi");
    }

    private static long number(String text, String pattern) {
        Matcher matcher = Pattern.compile(pattern).matcher(text);
        assertThat(matcher.find()).as(pattern).isTrue();
        return Long.parseLong(matcher.group(1)) * MIB;
    }
}
