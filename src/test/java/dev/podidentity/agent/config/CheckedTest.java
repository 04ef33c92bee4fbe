package dev.podidentity.agent.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.net.URI;
import java.time.Duration;
import java.util.stream.Stream;
import org.eclipse.microprofile.config.spi.Converter;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class CheckedTest {

    private static final String HUNDRED = "a".repeat(100);
    private static final String LABEL = "a".repeat(63);

    static Stream<Arguments> good() {
        return Stream.of(
                arguments(new Checked.Port(), "0", 0),
                arguments(new Checked.Port(), "80", 80),
                arguments(new Checked.Port(), "65535", 65_535),
                arguments(new Checked.Count(), "0", 0),
                arguments(new Checked.Count(), "2000", 2000),
                arguments(new Checked.Count(), "1000000", 1_000_000),
                arguments(new Checked.Limit(), "1", 1),
                arguments(new Checked.Limit(), "1000000", 1_000_000),
                arguments(new Checked.Timeout(), "1ms", Duration.ofMillis(1)),
                arguments(new Checked.Timeout(), "900ms", Duration.ofMillis(900)),
                arguments(new Checked.Timeout(), "1h30m", Duration.ofMinutes(90)),
                arguments(new Checked.ClusterName(), "prod", "prod"),
                arguments(new Checked.ClusterName(), "Prod_2-east", "Prod_2-east"),
                arguments(new Checked.ClusterName(), "1", "1"),
                arguments(new Checked.ClusterName(), HUNDRED, HUNDRED),
                arguments(new Checked.Host(), "169.254.170.23", "169.254.170.23"),
                arguments(new Checked.Host(), "[fd00:ec2::23]", "fd00:ec2::23"),
                arguments(new Checked.Host(), "fd00:ec2::23", "fd00:ec2::23"),
                arguments(new Checked.Host(), "::", "::"),
                arguments(new Checked.Host(), "[::1]", "::1"),
                arguments(new Checked.Host(), "localhost", "localhost"),
                arguments(new Checked.Host(), "a.b-c.example", "a.b-c.example"),
                arguments(new Checked.Host(), "my_host", "my_host"),
                arguments(new Checked.Host(), LABEL + ".example", LABEL + ".example"),
                arguments(new Checked.Endpoint(), "https://eks-auth.us-west-2.api.aws",
                        URI.create("https://eks-auth.us-west-2.api.aws")),
                arguments(new Checked.Endpoint(), "http://127.0.0.1:8080/base", URI.create("http://127.0.0.1:8080/base")),
                arguments(new Checked.Endpoint(), "HTTPS://[::1]:8443", URI.create("HTTPS://[::1]:8443")),
                arguments(new Checked.Audience(), "pods.eks.amazonaws.com", "pods.eks.amazonaws.com"),
                arguments(new Checked.Audience(), "https://a.example/?b#c", "https://a.example/?b#c"));
    }

    @ParameterizedTest
    @MethodSource("good")
    void readsWhatIsAllowed(Converter<?> converter, String text, Object expected) {
        assertThat(converter.convert(text)).isEqualTo(expected);
    }

    static Stream<Arguments> bad() {
        return Stream.of(
                all(new Checked.Port(), "must be a port number from 0 to 65535",
                        "", " 80", "80 ", "-1", "65536", "99999999999", "http", "80.0", "0x50", "8_0"),
                all(new Checked.Count(), "must be a whole number from 0 to 1000000", "", "-1", "1000001", "1.5", "many"),
                all(new Checked.Limit(), "must be a whole number from 1 to 1000000", "", "0", "-1", "1000001", "1.5", "many"),
                all(new Checked.Timeout(), "must be a duration of 1ms or more, such as 900ms or 5s", "0", "0s", "999us", "1ns"),
                all(new Checked.Timeout(), "must be a duration of 0 or more, such as 3h, 1h30m, 90s or 0", "", "5", "-5s", "soon"),
                all(new Checked.ClusterName(), "must be the name of an EKS cluster",
                        "", " ", "a b", "-a", "_a", "a/b", "a.b", "../a", "a\n", "\u00e9", HUNDRED + "a"),
                all(new Checked.Host(), "must be an IP address or a host name without a port",
                        "", " ", "a b", "a,b", "localhost:80", "169.254.170.23:80", "[fd00:ec2::23]:80", "[fd00:ec2::23",
                        "fd00:ec2::23]", "[169.254.170.23]", "[localhost]", "[]", "http://localhost", "-a", "a..b", ".a",
                        "fd00::ec2::23", "fd00:ec2::g", "a/b", "a\n", "a".repeat(64), (LABEL + ".").repeat(4) + "a"),
                all(new Checked.Endpoint(), "must be an http or https URL",
                        "", "eks-auth.us-west-2.api.aws", "localhost:8080", "//localhost", "ftp://localhost", "file:///etc",
                        "https://", "https:///path", "http:localhost", "https://a b", "https://user:word@localhost",
                        "https://localhost?a=b", "https://localhost#a", "https://local host", "https://localhost:port"),
                all(new Checked.Audience(), "must be 1 to 256 printable characters without spaces",
                        "", " ", "a b", "a\n", "\u00e9", "a".repeat(257)))
                .flatMap(rows -> rows);
    }

    private static Stream<Arguments> all(Converter<?> converter, String allowed, String... texts) {
        return Stream.of(texts).map(text -> arguments(converter, text, allowed));
    }

    @ParameterizedTest
    @MethodSource("bad")
    void saysWhatIsAllowed(Converter<?> converter, String text, String allowed) {
        assertThatThrownBy(() -> converter.convert(text))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith(allowed);
    }
}
