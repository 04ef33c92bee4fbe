package dev.podidentity.agent.doctor;

import dev.podidentity.agent.eksauth.AwsSetup.Sourced;
import java.util.List;
import software.amazon.awssdk.regions.Region;

/** Checks that the region is known. */
final class RegionCheck implements Check {

    private final AwsFacts aws;

    RegionCheck(AwsFacts aws) {
        this.aws = aws;
    }

    @Override
    public String name() {
        return "region";
    }

    @Override
    public List<Finding> examine() {
        Sourced<Region> region = aws.region();
        return List.of(region.value()
                .map(found -> Finding.ok("The region is " + found.id() + ", from " + region.source()))
                .orElseGet(() -> Finding.fail("No region is known: " + String.join(", ", region.without()) + " have none",
                        "Set AWS_REGION, or enable IMDSv2")));
    }
}
