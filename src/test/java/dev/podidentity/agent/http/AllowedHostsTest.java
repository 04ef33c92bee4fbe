package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AllowedHostsTest {

    private final AllowedHosts hosts = new AllowedHosts(List.of());

    @ParameterizedTest
    @ValueSource(strings = {
        "169.254.170.23",
        "169.254.170.23:80",
        "169.254.170.23:0",
        "169.254.170.23:65535",
        "fd00:ec2::23",
        "FD00:EC2::23",
        "fd00:0ec2::0023",
        "fd00:ec2:0:0:0:0:0:23",
        "fd00:0ec2:0000:0000:0000:0000:0000:0023",
        "fd00:ec2::0:23",
        "fd00:ec2:0::23",
        "fd00:ec2:0:0::0:23",
        "fd00:ec2::0.0.0.35",
        "[fd00:ec2::23]",
        "[FD00:EC2::23]",
        "[fd00:ec2:0:0:0:0:0:23]",
        "[fd00:ec2::23]:80",
        "[fd00:ec2::23]:65535"})
    void takesEverySpellingOfItsOwnAddresses(String authority) {
        assertThat(hosts.contains(authority)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "",
        " ",
        ":",
        ":80",
        "localhost",
        "127.0.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.230",
        "169.254.170.23.",
        "169.254.170.23.example.com",
        "evil.example",
        "169.254.170.23:",
        "169.254.170.23:http",
        "169.254.170.23:-1",
        "169.254.170.23:+80",
        "169.254.170.23:65536",
        "169.254.170.23:000080",
        "169.254.170.23:99999999999999999999",
        "169.254.170.23:80 ",
        "169.254.170.23:80:80",
        "169.254.170.23:\u0668\u0660",
        "user@169.254.170.23",
        "169.254.170.23@evil.example",
        "169.254.170.23:80@evil.example",
        "user:word@169.254.170.23",
        "169.254.170.23/",
        "169.254.170.23#",
        "169.254.170.23,169.254.170.23",
        "[169.254.170.23]",
        // Other spellings of the IPv4 address, which no SDK sends.
        "169.254.043535",
        "169.16689687",
        "2852039191",
        "0xa9feaa17",
        "0251.0376.0252.027",
        "169.254.170.023",
        "::ffff:169.254.170.23",
        "[::ffff:169.254.170.23]",
        "[::ffff:a9fe:aa17]",
        "::169.254.170.23",
        "fd00:ec2::24",
        "fd00:ec2::2300",
        "fd00:ec2::23:80",
        "fd00:ec2::",
        "fd00::ec2::23",
        "fd00:ec2::g",
        "fd00:ec2::00023",
        "fd00:ec2::23.",
        "fd00:ec2::23%eth0",
        "[fd00:ec2::23%25eth0]",
        "[fd00:ec2::23%]",
        "[fd00:ec2::23",
        "fd00:ec2::23]",
        "[[fd00:ec2::23]]",
        "[]",
        "[",
        "]",
        "[fd00:ec2::23]80",
        "[fd00:ec2::23]:",
        "[fd00:ec2::23]:http",
        "[fd00:ec2::23]:65536",
        "[fd00:ec2::23].evil.example",
        "[fd00:ec2::23]@evil.example",
        "[fd00:ec2::23]:80@evil.example"})
    void takesNothingElse(String authority) {
        assertThat(hosts.contains(authority)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "Agent.Internal", "agent.internal", "AGENT.INTERNAL:8080", "127.0.0.1", "127.0.0.1:80", "::1", "[::1]:80",
        "[0:0:0:0:0:0:0:1]", "169.254.170.23", "[fd00:ec2::23]"})
    void takesConfiguredHostsBesideItsOwn(String authority) {
        assertThat(new AllowedHosts(List.of("agent.Internal", "127.0.0.1", "::1")).contains(authority)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"agent.internal.", "internal", "x.agent.internal", "127.0.0.2", "::2", "::ffff:127.0.0.1"})
    void takesOnlyWhatIsConfigured(String authority) {
        assertThat(new AllowedHosts(List.of("agent.internal", "127.0.0.1", "::1")).contains(authority)).isFalse();
    }

    @Test
    void takesNoEmptyAuthorityForAnyConfiguredHost() {
        assertThat(new AllowedHosts(List.of("agent.internal")).contains("")).isFalse();
    }
}
