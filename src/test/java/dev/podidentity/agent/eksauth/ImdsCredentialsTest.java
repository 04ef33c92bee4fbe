package dev.podidentity.agent.eksauth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.podidentity.agent.testing.FakeTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;
import software.amazon.awssdk.core.exception.SdkClientException;

class ImdsCredentialsTest {

    private static final String ROLES = "/latest/meta-data/iam/security-credentials/";

    private final FakeTime time = new FakeTime();
    private final List<String> asked = new ArrayList<>();
    private AwsCredentials held = session("key-1");
    private String roles = "node-role\n";
    private String document;

    private final ImdsCredentials credentials = new ImdsCredentials(() -> () -> held, this::metadata, time.clock());

    @Test
    void haveTheExpirationThatImdsReports() {
        Instant expiration = time.now().plus(Duration.ofHours(6));
        document = document("key-1", expiration.toString());

        AwsCredentials resolved = credentials.resolveCredentials();

        assertThat(resolved).isEqualTo(session("key-1").toBuilder().expirationTime(expiration).build());
        assertThat(asked).containsExactly(ROLES, ROLES + "node-role");
    }

    @Test
    void askForTheExpirationAgainOnlyShortlyBeforeIt() {
        // Given
        Instant expiration = time.now().plus(Duration.ofHours(6));
        document = document("key-1", expiration.toString());
        credentials.resolveCredentials();
        asked.clear();

        // When
        time.advance(Duration.ofHours(6).minus(ImdsCredentials.SOON).minusMillis(1));
        credentials.resolveCredentials();
        // Then
        assertThat(asked).isEmpty();

        // When
        time.advance(Duration.ofMillis(1));
        document = document("key-1", expiration.plusSeconds(3600).toString());
        // Then
        assertThat(credentials.resolveCredentials().expirationTime()).contains(expiration.plusSeconds(3600));
    }

    @Test
    void askForTheExpirationOfNewCredentials() {
        // Given
        Instant first = time.now().plus(Duration.ofHours(6));
        document = document("key-1", first.toString());
        credentials.resolveCredentials();

        // When
        held = session("key-2");
        document = document("key-2", first.plusSeconds(60).toString());

        // Then
        assertThat(credentials.resolveCredentials().expirationTime()).contains(first.plusSeconds(60));
    }

    @Test
    void keepTheLastKnownExpirationWhileImdsDoesNotRespond() {
        // Given
        Instant expiration = time.now().plus(Duration.ofMinutes(5));
        document = document("key-1", expiration.toString());
        credentials.resolveCredentials();

        // When
        document = null;
        time.advance(Duration.ofMinutes(6));

        // Then
        assertThat(credentials.resolveCredentials().expirationTime()).contains(expiration);
    }

    @Test
    void doNotTakeTheExpirationOfOtherCredentials() {
        document = document("key-2", time.now().plusSeconds(60).toString());

        assertThat(credentials.resolveCredentials().expirationTime()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "no JSON", "[]", "{\"AccessKeyId\":\"key-1\"}", "{\"AccessKeyId\":\"key-1\",\"Expiration\":null}",
            "{\"AccessKeyId\":\"key-1\",\"Expiration\":\"soon\"}", "{\"AccessKeyId\":\"key-1\",\"Expiration\":7}", "{\"AccessKeyId\":[]}"})
    void areUsedWithoutAnExpirationIfItCannotBeRead(String malformed) {
        document = malformed;

        assertThat(credentials.resolveCredentials()).isEqualTo(held);
        assertThat(credentials.resolveCredentials().expirationTime()).isEmpty();
    }

    @Test
    void areUsedWithoutAnExpirationIfImdsHasNoRoleAnyMore() {
        roles = null;
        assertThat(credentials.resolveCredentials()).isEqualTo(held);

        roles = "";
        assertThat(credentials.resolveCredentials()).isEqualTo(held);
    }

    @Test
    void areLeftAloneIfTheyHaveNoSession() {
        held = AwsBasicCredentials.create("key-1", "s3cret");

        assertThat(credentials.resolveCredentials()).isSameAs(held);
        assertThat(asked).isEmpty();
    }

    @Test
    void areMissingIfTheSdkFindsNone() {
        ImdsCredentials none = new ImdsCredentials(() -> () -> {
            throw SdkClientException.create("nothing here");
        }, this::metadata, time.clock());

        assertThatThrownBy(none::resolveCredentials).isInstanceOf(SdkClientException.class);
        assertThat(asked).isEmpty();
    }

    private String metadata(String path) {
        asked.add(path);
        if (path.equals(ROLES)) {
            return roles;
        }
        if (document == null) {
            throw SdkClientException.create("no response");
        }
        return document;
    }

    private static String document(String accessKeyId, String expiration) {
        return "{\"Code\":\"Success\",\"AccessKeyId\":\"" + accessKeyId + "\",\"Expiration\":\"" + expiration + "\"}";
    }

    private static AwsSessionCredentials session(String accessKeyId) {
        return AwsSessionCredentials.create(accessKeyId, "s3cret", "session");
    }
}
