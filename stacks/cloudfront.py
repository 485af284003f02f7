"""What CloudFront is, as far as templates depend on it; synthesis asks nobody, and the preflight compares.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-vpc-origins.html
"""

# Where its certificates and web access lists are, wherever what it stands in front of is
HOME_REGION = "us-east-1"
# AWS's own list of the addresses that it comes from. A VPC origin is reached from these, not from the VPC's
PREFIX_LIST = "com.amazonaws.global.cloudfront.origin-facing"
# The list's id, the same for every account of a region in which CloudFront reaches into VPCs:
# aws ec2 describe-managed-prefix-lists --filters Name=prefix-list-name,Values=PREFIX_LIST
PREFIX_LISTS = {
    "ap-northeast-1": "pl-58a04531",
    "ap-northeast-2": "pl-22a6434b",
    "ap-northeast-3": "pl-31a14458",
    "ap-south-1": "pl-9aa247f3",
    "ap-southeast-1": "pl-31a34658",
    "ap-southeast-2": "pl-b8a742d1",
    "ca-central-1": "pl-38a64351",
    "eu-central-1": "pl-a3a144ca",
    "eu-north-1": "pl-fab65393",
    "eu-west-1": "pl-4fa04526",
    "eu-west-2": "pl-93a247fa",
    "eu-west-3": "pl-75b1541c",
    "sa-east-1": "pl-5da64334",
    "us-east-1": "pl-3b927c52",
    "us-east-2": "pl-b6a144df",
    "us-west-1": "pl-4ea04527",
    "us-west-2": "pl-82a045eb",
}
# Zones of these regions that it does not reach, by the id that they have in every account
UNREACHED_ZONES = ("apne1-az3", "apne2-az1", "cac1-az3", "use1-az3", "usw1-az2")
