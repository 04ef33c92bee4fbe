package dev.podidentity.agent.doctor;

import dev.podidentity.agent.eksauth.AwsSetup.Sourced;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import software.amazon.awssdk.auth.credentials.AwsCredentials;

/** Checks that the agent has AWS credentials of its own, and shows their source. */
final class CredentialsCheck implements Check {

    private final AwsFacts aws;
    private final Clock clock;

    CredentialsCheck(AwsFacts aws, Clock clock) {
        this.aws = aws;
        this.clock = clock;
    }

    @Override
    public String name() {
        return "credentials";
    }

    @Override
    public List<Finding> examine() {
        Sourced<AwsCredentials> credentials = aws.credentials();
        return List.of(credentials.value()
                .map(found -> finding(found, credentials.source()))
                .orElseGet(() -> Finding.fail("The agent has no AWS credentials of its own: "
                                + String.join(", ", credentials.without()) + " have none that can be read",
                        "Give the node an instance role and enable IMDSv2, or mount a shared credentials file")));
    }

    private Finding finding(AwsCredentials found, String source) {
        Optional<Instant> expiration = found.expirationTime();
        if (expiration.isPresent() && !expiration.get().isAfter(clock.instant())) {
            return Finding.fail("The agent's own AWS credentials, from " + source + ", expired at " + expiration.get(),
                    "Renew them; check the clock of this node");
        }
        // Access key IDs are not secret: all AWS logs contain them.
        return Finding.ok("The agent's own AWS credentials are from " + source + ": " + found.accessKeyId()
                + expiration.map(at -> ", until " + at).orElse(""));
    }
}
