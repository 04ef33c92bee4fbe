package dev.podidentity.agent.eksauth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.testing.LogLines;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;
import software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.identity.spi.AwsCredentialsIdentity;
import software.amazon.awssdk.identity.spi.ResolveIdentityRequest;
import software.amazon.awssdk.profiles.ProfileFile;

class AgentCredentialsTest {

    private static final TransientFailure NO_PERMISSION =
            new TransientFailure(TransientFailure.Reason.AGENT_PERMISSION, "allow the node's role to call");
    private static final TransientFailure NOT_ACCEPTED =
            new TransientFailure(TransientFailure.Reason.AGENT_CREDENTIALS, "check the node's keys");
    private static final PermanentFailure REFUSED_TO_POD =
            new PermanentFailure(PermanentFailure.Reason.NO_ASSOCIATION, "create an association");

    private final FakeTime time = new FakeTime();
    private final Source environment = new Source();
    private final Source profile = new Source();
    private final Source instance = new Source();

    @Test
    void saysWhenTheyExpire() {
        // Given
        AgentCredentials credentials = credentials(() -> profile, false);
        assertThat(credentials.expiration()).isEmpty();

        // When
        instance.holds("instance", time.now().plusSeconds(3600));
        credentials.refresh().join();

        // Then
        assertThat(credentials.expiration()).contains(time.now().plusSeconds(3600));

        // When: the new credentials do not expire
        environment.holds("environment");
        credentials.refresh().join();

        // Then
        assertThat(credentials.expiration()).isEmpty();
    }

    @Test
    void looksInTheEnvironmentThenInTheFilesThenAtTheInstance() {
        // Given
        AgentCredentials credentials = credentials(() -> profile, false);
        environment.holds("environment");
        profile.holds("profile");
        instance.holds("instance");

        // Then
        assertThat(refreshed(credentials)).isEqualTo("environment");
        environment.holdsNothing();
        assertThat(refreshed(credentials)).isEqualTo("profile");
        profile.holdsNothing();
        assertThat(refreshed(credentials)).isEqualTo("instance");
    }

    @Test
    void goesBackToAnEarlierSourceOnceThatHasSome() {
        AgentCredentials credentials = credentials(() -> profile, false);
        instance.holds("instance");
        assertThat(refreshed(credentials)).isEqualTo("instance");

        profile.holds("profile");

        assertThat(refreshed(credentials)).isEqualTo("profile");
    }

    @Test
    void doesNotAskTheInstanceWhileTheFilesHaveSome() {
        AgentCredentials credentials = credentials(() -> profile, false);
        profile.holds("profile");

        credentials.refresh().join();

        assertThat(instance.asked).isZero();
    }

    @Test
    void saysWhetherItFoundSome() {
        AgentCredentials credentials = credentials(() -> profile, false);
        assertThat(credentials.available()).isFalse();

        assertThat(credentials.refresh()).isCompletedWithValue(false);
        assertThat(credentials.available()).isFalse();

        instance.holds("instance");
        assertThat(credentials.refresh()).isCompletedWithValue(true);
        assertThat(credentials.available()).isTrue();
    }

    @Test
    void keepsEarlierOnesWhileNoneCanBeFound() {
        // Given
        AgentCredentials credentials = credentials(() -> profile, false);
        instance.holds("instance");
        assertThat(refreshed(credentials)).isEqualTo("instance");

        // When
        instance.holdsNothing();

        // Then
        assertThat(credentials.refresh()).isCompletedWithValue(true);
        assertThat(identity(credentials).accessKeyId()).isEqualTo("instance");
    }

    @Test
    void saysThatThereAreNoneYet() {
        AgentCredentials credentials = credentials(() -> profile, false);

        CompletableFuture<? extends AwsCredentialsIdentity> identity =
                credentials.resolveIdentity(ResolveIdentityRequest.builder().build());

        assertThat(identity).isCompletedExceptionally();
        assertThatThrownBy(identity::join)
                .isInstanceOf(CompletionException.class)
                .cause()
                .isInstanceOf(AgentCredentials.UnavailableException.class)
                .hasMessage("The agent has not found its own AWS credentials yet: see its log");
    }

    @Test
    void givesWhatTheLastRefreshFoundWithoutAskingAgain() {
        AgentCredentials credentials = credentials(() -> profile, false);
        profile.holds("profile");
        credentials.refresh().join();

        identity(credentials);
        identity(credentials);

        assertThat(profile.asked).isEqualTo(1);
    }

    @Test
    void looksOnTheWorkerOnly() {
        // Given
        List<Runnable> work = new ArrayList<>();
        AgentCredentials credentials = new AgentCredentials(environment, () -> profile, instance, false, work::add, time.clock(), time.nanos());
        instance.holds("instance");

        // When
        CompletableFuture<Boolean> refresh = credentials.refresh();

        // Then
        assertThat(refresh).isNotDone();
        assertThat(environment.asked).isZero();
        work.get(0).run();
        assertThat(refresh).isCompletedWithValue(true);
    }

    @Test
    void readsAChangedFileAnewWhenItRotates(@TempDir Path directory) throws IOException {
        // Given
        Path file = directory.resolve("credentials");
        AgentCredentials credentials = credentials(() -> providerOf(file), true);
        write(file, "first");
        assertThat(refreshed(credentials)).isEqualTo("first");

        // When
        write(file, "second");

        // Then
        assertThat(refreshed(credentials)).isEqualTo("second");
    }

    @Test
    void keepsWhatItReadWhileTheFileIsGoneOrHalfWritten(@TempDir Path directory) throws IOException {
        // Given
        Path file = directory.resolve("credentials");
        AgentCredentials credentials = credentials(() -> providerOf(file), true);
        write(file, "first");
        assertThat(refreshed(credentials)).isEqualTo("first");

        // When
        Files.writeString(file, "[default]\naws_access_key_id = second\n");
        assertThat(credentials.refresh()).isCompletedWithValue(true);
        assertThat(identity(credentials).accessKeyId()).isEqualTo("first");
        Files.writeString(file, "[default");
        assertThat(credentials.refresh()).isCompletedWithValue(true);
        assertThat(identity(credentials).accessKeyId()).isEqualTo("first");

        // Then
        write(file, "third");
        assertThat(refreshed(credentials)).isEqualTo("third");
    }

    @Test
    void makesTheReaderOfTheFilesOnceUnlessItRotates() {
        AtomicInteger made = new AtomicInteger();
        profile.holds("profile");
        Supplier<AwsCredentialsProvider> files = () -> {
            made.incrementAndGet();
            return profile;
        };

        AgentCredentials steady = credentials(files, false);
        steady.refresh().join();
        steady.refresh().join();
        assertThat(made).hasValue(1);

        AgentCredentials rotating = credentials(files, true);
        rotating.refresh().join();
        rotating.refresh().join();
        assertThat(made).hasValue(3);
    }

    @Test
    void neverAsksAContainerCredentialsEndpointSinceThatWouldBeThisAgent(@TempDir Path directory) throws IOException {
        // Given: an endpoint that the SDK's default chain would call
        AtomicInteger asked = new AtomicInteger();
        HttpServer endpoint = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        endpoint.createContext("/", exchange -> {
            asked.incrementAndGet();
            exchange.sendResponseHeaders(500, -1);
            exchange.close();
        });
        endpoint.start();
        Map<String, String> properties = Map.of(
                "aws.containerCredentialsFullUri", "http://127.0.0.1:" + endpoint.getAddress().getPort() + "/v1/credentials",
                "aws.disableEc2Metadata", "true",
                "aws.sharedCredentialsFile", directory.resolve("none").toString(),
                "aws.configFile", directory.resolve("none").toString());
        Map<String, String> before = new HashMap<>();
        properties.forEach((key, value) -> before.put(key, System.setProperty(key, value)));
        try {
            // When
            AgentCredentials.ofThisNode(false, Runnable::run, time.clock(), time.nanos()).refresh().join();
            AgentCredentials.ofThisNode(true, Runnable::run, time.clock(), time.nanos()).refresh().join();
        } finally {
            before.forEach((key, value) -> {
                if (value == null) {
                    System.clearProperty(key);
                } else {
                    System.setProperty(key, value);
                }
            });
            endpoint.stop(0);
        }

        // Then
        assertThat(asked).hasValue(0);
    }

    @Test
    void canBeUsedOnceTheyAreFound() {
        AgentCredentials credentials = credentials(() -> profile, false);
        assertThat(credentials.usable()).isFalse();

        instance.holds("instance");
        credentials.refresh().join();

        assertThat(credentials.usable()).isTrue();
    }

    @Test
    void canBeUsedUntilTheyExpireWhileTheyCannotBeRefreshed() {
        // Given
        AgentCredentials credentials = credentials(() -> profile, false);
        instance.holds("instance", time.now().plusSeconds(3600));
        credentials.refresh().join();
        instance.holdsNothing();
        credentials.refresh().join();

        // When
        time.advance(Duration.ofSeconds(3599));
        assertThat(credentials.usable()).isTrue();
        time.advance(Duration.ofSeconds(1));

        // Then
        assertThat(credentials.usable()).isFalse();
        assertThat(credentials.available()).as("calls are still signed with expired credentials").isTrue();
    }

    @Test
    void canBeUsedForEverIfTheyNeverExpire() {
        AgentCredentials credentials = credentials(() -> profile, false);
        profile.holds("profile");
        credentials.refresh().join();
        profile.holdsNothing();
        credentials.refresh().join();

        time.advance(Duration.ofDays(365));

        assertThat(credentials.usable()).isTrue();
    }

    @Test
    void canBeUsedAgainOnceTheyCanBeRefreshed() {
        // Given
        AgentCredentials credentials = credentials(() -> profile, false);
        instance.holds("instance", time.now());
        credentials.refresh().join();
        instance.holdsNothing();
        credentials.refresh().join();
        assertThat(credentials.usable()).isFalse();

        // When
        instance.holds("other");
        credentials.refresh().join();

        // Then
        assertThat(credentials.usable()).isTrue();
    }

    @Test
    void leavesThoseThatAnInstanceHandsOutPastTheirTimeToEksAuth() {
        AgentCredentials credentials = credentials(() -> profile, false);
        instance.holds("instance", time.now().minusSeconds(1));
        credentials.refresh().join();
        assertThat(credentials.usable()).isTrue();

        credentials.answered(credentials.current(), NOT_ACCEPTED);

        assertThat(credentials.usable()).isFalse();
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.INCLUDE, names = {"AGENT_CREDENTIALS", "AGENT_PERMISSION"})
    void cannotBeUsedAfterARefusalUntilACallIsAccepted(TransientFailure.Reason reason) {
        // Given
        AgentCredentials credentials = found("first");

        // When
        credentials.answered(credentials.current(), new TransientFailure(reason, "?"));
        credentials.refresh().join();

        // Then
        assertThat(credentials.usable()).as("the refresh found the same credentials").isFalse();
        assertThat(credentials.available()).isTrue();
        credentials.answered(credentials.current(), REFUSED_TO_POD);
        assertThat(credentials.usable()).as("EKS Auth accepted the agent and rejected only the pod").isTrue();
    }

    @Test
    void canBeUsedAfterARefusalOnceOthersAreFound() {
        // Given
        AgentCredentials credentials = found("first");
        AwsCredentialsIdentity first = credentials.current();
        credentials.answered(first, NOT_ACCEPTED);

        // When
        instance.holds("second");
        credentials.refresh().join();
        assertThat(credentials.usable()).isTrue();

        // Then: a late response to a call signed with the first credentials changes nothing
        credentials.answered(first, NOT_ACCEPTED);
        assertThat(credentials.usable()).isTrue();
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = {"AGENT_CREDENTIALS", "AGENT_PERMISSION"})
    void areNeitherAcceptedNorRefusedByOtherTrouble(TransientFailure.Reason reason) {
        AgentCredentials credentials = found("first");
        credentials.answered(credentials.current(), new TransientFailure(reason, "?"));
        assertThat(credentials.usable()).isTrue();

        credentials.answered(credentials.current(), NOT_ACCEPTED);
        credentials.answered(credentials.current(), new TransientFailure(reason, "?"));

        assertThat(credentials.usable()).isFalse();
    }

    @Test
    void saysOnceWhosePermissionIsMissingAndOnceThatItIsThere() {
        AgentCredentials credentials = found("first");
        try (LogLines log = new LogLines(AgentCredentials.class)) {
            // When
            refuse(credentials, NO_PERMISSION, 3);

            // Then
            assertThat(log.all()).containsExactly("WARN EKS Auth rejects the calls of the agent itself; cached credentials are"
                    + " still served [reason=agent_permission, remedy=allow the node's role to call]");

            // When
            time.advance(Duration.ofSeconds(10));
            credentials.answered(credentials.current(), REFUSED_TO_POD);
            credentials.answered(credentials.current(), REFUSED_TO_POD);

            // Then
            assertThat(log.all()).hasSize(2).last().asString().startsWith("INFO EKS Auth accepts the agent's calls again");
        }
    }

    @Test
    void saysAtMostOneLineInTenSecondsAndEndsWithWhatIsSo() {
        AgentCredentials credentials = found("first");
        try (LogLines log = new LogLines(AgentCredentials.class)) {
            // When: one server has the new policy, another does not
            for (int i = 0; i < 100; i++) {
                refuse(credentials, NO_PERMISSION, 1);
                credentials.answered(credentials.current(), REFUSED_TO_POD);
                time.advanceMillis(250);
            }
            refuse(credentials, NO_PERMISSION, 1);
            time.advance(Duration.ofSeconds(10));
            refuse(credentials, NO_PERMISSION, 1);

            // Then
            assertThat(log.all()).hasSizeLessThanOrEqualTo(4).last().asString().startsWith("WARN");
        }
    }

    @Test
    void saysSoWhenItIsRefusedForAnotherReason() {
        AgentCredentials credentials = found("first");
        try (LogLines log = new LogLines(AgentCredentials.class)) {
            refuse(credentials, NO_PERMISSION, 1);
            time.advance(Duration.ofSeconds(10));
            refuse(credentials, NOT_ACCEPTED, 2);

            assertThat(log.all()).hasSize(2).last().asString().contains("reason=agent_credentials");
        }
    }

    private AgentCredentials found(String accessKeyId) {
        AgentCredentials credentials = credentials(() -> profile, false);
        instance.holds(accessKeyId);
        credentials.refresh().join();
        return credentials;
    }

    private static void refuse(AgentCredentials credentials, TransientFailure failure, int times) {
        for (int i = 0; i < times; i++) {
            credentials.answered(credentials.current(), failure);
        }
    }

    private AgentCredentials credentials(Supplier<AwsCredentialsProvider> files, boolean rotate) {
        return new AgentCredentials(environment, files, instance, rotate, Runnable::run, time.clock(), time.nanos());
    }

    private static String refreshed(AgentCredentials credentials) {
        assertThat(credentials.refresh()).isCompletedWithValue(true);
        return identity(credentials).accessKeyId();
    }

    private static AwsCredentialsIdentity identity(AgentCredentials credentials) {
        return credentials.resolveIdentity(ResolveIdentityRequest.builder().build()).join();
    }

    private static void write(Path file, String accessKeyId) throws IOException {
        Files.writeString(
                file, "[default]\naws_access_key_id = " + accessKeyId + "\naws_secret_access_key = s3cret\n");
    }

    /** Creates a provider as the SDK does by default, which reads the file once, on creation. */
    private static AwsCredentialsProvider providerOf(Path file) {
        return ProfileCredentialsProvider.builder()
                .profileName("default")
                .profileFile(() -> ProfileFile.builder().content(file).type(ProfileFile.Type.CREDENTIALS).build())
                .build();
    }

    private static final class Source implements AwsCredentialsProvider {

        private String accessKeyId;
        private Instant expiration;
        private int asked;

        void holds(String key) {
            holds(key, null);
        }

        void holds(String key, Instant until) {
            accessKeyId = key;
            expiration = until;
        }

        void holdsNothing() {
            accessKeyId = null;
        }

        @Override
        public AwsCredentials resolveCredentials() {
            asked++;
            if (accessKeyId == null) {
                throw SdkClientException.create("nothing here");
            }
            return expiration == null
                    ? AwsBasicCredentials.create(accessKeyId, "s3cret")
                    : AwsSessionCredentials.builder()
                            .accessKeyId(accessKeyId)
                            .secretAccessKey("s3cret")
                            .sessionToken("session")
                            .expirationTime(expiration)
                            .build();
        }
    }
}
