package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.Callee;
import dev.podidentity.agent.doctor.Web.Ask;
import dev.podidentity.agent.doctor.Web.Route;
import dev.podidentity.agent.network.ImdsHops;
import dev.podidentity.agent.outbound.CallFailure;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Checks that IMDS responds to this node, and not to pods, which could otherwise fall back to the node's role. */
final class ImdsCheck implements Check {

    static final String URL = "http://169.254.169.254";

    private static final Duration PATIENCE = Duration.ofSeconds(1);
    private static final Callee IMDS = new Callee("IMDS at " + URL, "it exists only on EC2", "");
    private static final String LIMIT_HOPS = "Pods whose SDK gets no credentials from the agent would use the node's role: aws ec2"
            + " modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 1 --http-tokens required";
    private static final int UNAUTHORIZED = 401;

    private final Web web;
    private final AwsFacts aws;
    private final ImdsHops.Reach reach;
    private final Map<String, String> environment;

    ImdsCheck(Web web, AwsFacts aws, ImdsHops.Reach reach, Map<String, String> environment) {
        this.web = web;
        this.aws = aws;
        this.reach = reach;
        this.environment = environment;
    }

    @Override
    public String name() {
        return "imds";
    }

    @Override
    public List<Finding> examine() {
        if (Boolean.parseBoolean(environment.get("AWS_EC2_METADATA_DISABLED"))) {
            return List.of(Finding.ok("IMDS is not used, because AWS_EC2_METADATA_DISABLED is set"));
        }
        try {
            ApiAnswer token = ask("PUT", "/latest/api/token", Map.of("X-aws-ec2-metadata-token-ttl-seconds", "60"));
            if (!token.ok()) {
                return List.of(needed("IMDS returns no token: HTTP " + token.status()));
            }
            List<Finding> findings = new ArrayList<>(List.of(Finding.ok("IMDSv2 responds to this node")));
            findings.add(hops());
            if (ask("GET", "/latest/meta-data/", Map.of()).status() != UNAUTHORIZED) {
                findings.add(Finding.warn("IMDSv1 responds too, without a token and regardless of the hop limit", LIMIT_HOPS));
            }
            return findings;
        } catch (CallFailure failure) {
            return List.of(needed("IMDS does not respond to this node"));
        }
    }

    private Finding hops() {
        return switch (reach) {
            case NODE_ONLY -> Finding.ok("The hop limit of IMDS is 1: pods cannot get the node's role");
            case PODS -> Finding.warn("The hop limit of IMDS is more than 1: pods can get the node's role", LIMIT_HOPS);
            case NO_ANSWER, UNKNOWN -> Finding.skip("The hop limit of IMDS cannot be seen from here",
                    "Check it: aws ec2 describe-instances --query 'Reservations[].Instances[].MetadataOptions'");
        };
    }

    private Finding needed(String seen) {
        Optional<String> other = aws.credentials().value().isPresent()
                ? Optional.of(aws.credentials().source())
                : Optional.empty();
        return other.isPresent()
                ? Finding.ok(seen + "; the agent's credentials are from " + other.get())
                : Finding.fail(seen + ", and the agent has no other credentials",
                        "On EC2, enable IMDSv2: aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled");
    }

    private ApiAnswer ask(String method, String path, Map<String, String> headers) throws CallFailure {
        String base = Optional.ofNullable(environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")).orElse(URL).replaceFirst("/+$", "");
        return web.ask(new Ask(method, URI.create(base + path), headers, Optional.empty(), Route.DIRECT, PATIENCE, IMDS));
    }
}
