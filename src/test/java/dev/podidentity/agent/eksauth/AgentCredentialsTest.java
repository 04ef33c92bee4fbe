package dev.podidentity.agent.eksauth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
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
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.identity.spi.AwsCredentialsIdentity;
import software.amazon.awssdk.identity.spi.ResolveIdentityRequest;
import software.amazon.awssdk.profiles.ProfileFile;

class AgentCredentialsTest {

    private final Source environment = new Source();
    private final Source profile = new Source();
    private final Source instance = new Source();

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
                .hasMessage("The agent has no AWS credentials of its own yet: see its log");
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
        AgentCredentials credentials = new AgentCredentials(environment, () -> profile, instance, false, work::add);
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
        // Given: an endpoint that the SDK's own chain would ask
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
            AgentCredentials.ofThisNode(false, Runnable::run).refresh().join();
            AgentCredentials.ofThisNode(true, Runnable::run).refresh().join();
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

    private AgentCredentials credentials(Supplier<AwsCredentialsProvider> files, boolean rotate) {
        return new AgentCredentials(environment, files, instance, rotate, Runnable::run);
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

    /** What the SDK does at start: it reads the file when the provider is made. */
    private static AwsCredentialsProvider providerOf(Path file) {
        return ProfileCredentialsProvider.builder()
                .profileName("default")
                .profileFile(() -> ProfileFile.builder().content(file).type(ProfileFile.Type.CREDENTIALS).build())
                .build();
    }

    private static final class Source implements AwsCredentialsProvider {

        private String accessKeyId;
        private int asked;

        void holds(String key) {
            accessKeyId = key;
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
            return AwsBasicCredentials.create(accessKeyId, "s3cret");
        }
    }
}
