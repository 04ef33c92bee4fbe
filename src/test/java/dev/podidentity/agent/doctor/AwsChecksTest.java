package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.eksauth.AwsSetup.Sourced;
import dev.podidentity.agent.network.ImdsHops.Reach;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;
import software.amazon.awssdk.regions.Region;

class AwsChecksTest {

    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
    private static final Clock CLOCK = Clock.fixed(NOW, ZoneOffset.UTC);
    private static final List<String> ALL = List.of("the environment", "the shared config and credentials files", "IMDSv2");
    private static final String TOKEN = "PUT http://169.254.169.254/latest/api/token";
    private static final String WITHOUT_TOKEN = "GET http://169.254.169.254/latest/meta-data/";

    private final FakeWeb web = new FakeWeb();

    @Test
    void saysWhereTheRegionIsFrom() {
        assertThat(new RegionCheck(aws("us-west-2", Optional.empty())).examine())
                .containsExactly(Finding.ok("The region is us-west-2, from the environment"));
    }

    @Test
    void failsWithoutARegion() {
        assertThat(new RegionCheck(none()).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.remedy()).hasValueSatisfying(remedy -> assertThat(remedy).contains("AWS_REGION"));
        });
    }

    @Test
    void saysWhereTheCredentialsAreFromAndNothingSecret() {
        assertThat(new CredentialsCheck(aws("us-west-2", Optional.of(NOW.plusSeconds(60))), CLOCK).examine())
                .containsExactly(Finding.ok(
                        "The agent's own AWS credentials are from the shared config and credentials files: AKIDEXAMPLE, until"
                                + " 2026-01-01T00:01:00Z"));
    }

    @Test
    void failsOnExpiredCredentialsAndWithoutAny() {
        assertThat(new CredentialsCheck(aws("us-west-2", Optional.of(NOW)), CLOCK).examine())
                .singleElement().extracting(Finding::status).isEqualTo(Status.FAIL);
        assertThat(new CredentialsCheck(none(), CLOCK).examine())
                .singleElement().extracting(Finding::status).isEqualTo(Status.FAIL);
    }

    @Test
    void isContentWithImdsThatAnswersTheNodeOnly() {
        web.answer(TOKEN, 200, "token").answer(WITHOUT_TOKEN, 401, "");

        assertThat(imds(none(), Reach.NODE_ONLY)).containsExactly(
                Finding.ok("IMDSv2 responds to this node"),
                Finding.ok("The hop limit of IMDS is 1: pods cannot get the node's role"));
    }

    @Test
    void warnsOfAHopLimitThatLetsPodsInAndOfImdsWithoutTokens() {
        web.answer(TOKEN, 200, "token").answer(WITHOUT_TOKEN, 200, "ami-id");

        assertThat(imds(none(), Reach.PODS)).extracting(Finding::status).containsExactly(Status.OK, Status.WARN, Status.WARN);
        assertThat(imds(none(), Reach.PODS)).filteredOn(finding -> finding.status() == Status.WARN)
                .allSatisfy(finding -> assertThat(finding.remedy().orElseThrow()).contains("--http-put-response-hop-limit 1"));
    }

    @Test
    void skipsAHopLimitThatCannotBeSeen() {
        web.answer(TOKEN, 200, "token").answer(WITHOUT_TOKEN, 401, "");

        assertThat(imds(none(), Reach.UNKNOWN)).last().extracting(Finding::status).isEqualTo(Status.SKIP);
    }

    @Test
    void needsImdsOnlyForCredentialsThatAreFromNowhereElse() {
        assertThat(imds(none(), Reach.NO_ANSWER)).singleElement().extracting(Finding::status).isEqualTo(Status.FAIL);
        assertThat(imds(aws("us-west-2", Optional.empty()), Reach.NO_ANSWER)).containsExactly(Finding.ok(
                "IMDS does not respond to this node; the agent's credentials are from the shared config and credentials files"));
        web.answer(TOKEN, 403, "");
        assertThat(imds(none(), Reach.NO_ANSWER)).singleElement().extracting(Finding::seen)
                .isEqualTo("IMDS returns no token: HTTP 403, and the agent has no other credentials");
    }

    @Test
    void leavesImdsAloneWhereTheAgentDoes() {
        assertThat(new ImdsCheck(web, none(), Reach.UNKNOWN, Map.of("AWS_EC2_METADATA_DISABLED", "true")).examine())
                .singleElement().extracting(Finding::status).isEqualTo(Status.OK);
        assertThat(web.asked).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "us-west-2, eks-auth.us-west-2.api.aws, api.aws",
        "cn-north-1, eks-auth.cn-north-1.api.amazonwebservices.com.cn, api.amazonwebservices.com.cn",
        "us-gov-west-1, eks-auth.us-gov-west-1.api.aws, api.aws",
        "us-iso-east-1, eks-auth.us-iso-east-1.api.aws.ic.gov, api.aws.ic.gov",
        "us-isob-east-1, eks-auth.us-isob-east-1.api.aws.scloud, api.aws.scloud"
    })
    void namesThePrivateDnsThatIsMissing(String region, String host, String zone) {
        EksAuthPlace place = EksAuthPlace.of(aws(region, Optional.empty()), Settings.with(), Map.of());

        assertThat(new EndpointCheck(place, name -> {
            assertThat(name).isEqualTo(host);
            throw new UnknownHostException(name);
        }).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.seen()).startsWith(
                    "The name " + host + " has no address: private DNS for " + zone + " is missing");
        });
    }

    @Test
    void saysThatTheEndpointIsInsideTheVpc() {
        EksAuthPlace place = EksAuthPlace.of(aws("us-west-2", Optional.empty()), Settings.with(), Map.of());

        assertThat(new EndpointCheck(place, host -> new InetAddress[] {InetAddress.getByName("10.0.3.7")}).examine()).containsExactly(
                Finding.ok("The endpoint of EKS Auth is https://eks-auth.us-west-2.api.aws at 10.0.3.7, inside the VPC"));
    }

    @Test
    void failsOnSettingsWithWhichTheAgentDoesNotStart() {
        EksAuthPlace place = EksAuthPlace.of(aws("us-west-2", Optional.empty()), Settings.with("endpoint", "http://localhost:1"),
                Map.of("AWS_USE_FIPS_ENDPOINT", "true"));

        assertThat(new EndpointCheck(place, Names.PLATFORM).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.seen()).contains("AWS_USE_FIPS_ENDPOINT");
        });
    }

    @Test
    void namesTheProxyWithoutItsPasswordAndFailsIfItTakesNoConnection() throws IOException {
        int port;
        try (ServerSocket proxy = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = proxy.getLocalPort();
            assertThat(new ProxyCheck(through("http://user:secret@127.0.0.1:" + port)).examine()).containsExactly(
                    Finding.ok("EKS Auth is called through the proxy 127.0.0.1:" + port));
        }
        assertThat(new ProxyCheck(through("http://user:secret@127.0.0.1:" + port)).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.toString()).doesNotContain("secret");
        });
    }

    @Test
    void isContentWithoutAProxy() {
        assertThat(new ProxyCheck(EksAuthPlace.of(aws("us-west-2", Optional.empty()), Settings.with(), Map.of())).examine())
                .singleElement().extracting(Finding::status).isEqualTo(Status.OK);
    }

    @Test
    void readsWhetherTheNodeHasIpv6(@TempDir Path proc) throws IOException {
        assertThat(Ipv6Check.on(proc)).isFalse();
        Files.createDirectories(proc.resolve("net"));
        Files.writeString(proc.resolve("net/if_inet6"), "");
        Path disable = Files.createDirectories(proc.resolve("sys/net/ipv6/conf/all")).resolve("disable_ipv6");
        Files.writeString(disable, "1\n");
        assertThat(Ipv6Check.on(proc)).isFalse();
        assertThat(new Ipv6Check(proc).examine()).singleElement().extracting(Finding::seen).asString().contains("no IPv6");
        Files.writeString(disable, "0\n");
        assertThat(new Ipv6Check(proc).examine()).containsExactly(Finding.ok("This node has IPv6"));
    }

    private List<Finding> imds(AwsFacts aws, Reach reach) {
        return new ImdsCheck(web, aws, reach, Map.of()).examine();
    }

    private static EksAuthPlace through(String proxy) {
        return EksAuthPlace.of(aws("us-west-2", Optional.empty()), Settings.with(), Map.of("HTTPS_PROXY", proxy));
    }

    static AwsFacts none() {
        return new AwsFacts(() -> new Sourced<>(Optional.empty(), "", ALL), () -> new Sourced<>(Optional.empty(), "", ALL));
    }

    static AwsFacts aws(String region, Optional<Instant> expiration) {
        AwsCredentials credentials = AwsSessionCredentials.builder()
                .accessKeyId("AKIDEXAMPLE")
                .secretAccessKey("secret")
                .sessionToken("secret-session")
                .expirationTime(expiration.orElse(null))
                .build();
        return new AwsFacts(
                () -> new Sourced<>(Optional.of(Region.of(region)), ALL.get(0), List.of()),
                () -> new Sourced<>(Optional.of(credentials), ALL.get(1), ALL.subList(0, 1)));
    }
}
