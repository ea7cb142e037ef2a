#!/bin/sh
# Creates a VM on Azure Operator Nexus that enrolls itself, and assigns its identity the two roles, with the az CLI.
#
#   1. Replace the values below; environment variables override them.
#   2. arc-enroll user-data --config config.yaml --base64 > user-data.b64
#   3. sh create-vm.sh
#
# Needs az 2.75 or later with the extension networkcloud 4 or later, signed in. A second run only makes missing
# changes and does not create the VM again.
set -eu

# Replace.
: "${VM_NAME:=vm01}"
: "${VM_RESOURCE_GROUP:=replace}"
: "${SUBSCRIPTION_ID:=00000000-0000-0000-0000-000000000000}"
: "${LOCATION:=eastus}"
: "${CUSTOM_LOCATION_ID:=replace}"
: "${CSN_NAME:=replace}"
: "${CSN_RESOURCE_GROUP:=$VM_RESOURCE_GROUP}"
: "${L3_NETWORK_ID:=replace}"
: "${VM_IMAGE:=replace.azurecr.io/ubuntu:22.04}"
: "${ADMIN_USERNAME:=azureuser}"
: "${SSH_PUBLIC_KEY:=ssh-ed25519 replace}"
: "${CPU_CORES:=4}"
: "${MEMORY_SIZE:=8}"
: "${DISK_SIZE:=64}"
# The Arc machine: azure.subscription_id and azure.resource_group of the configuration.
: "${ARC_SUBSCRIPTION_ID:=$SUBSCRIPTION_ID}"
: "${ARC_RESOURCE_GROUP:=my-resource-group}"
# Resource id of a user-assigned identity; empty: the VM gets a system-assigned one.
: "${UAMI_ID:=}"
# Hosts that are not among the default egress endpoints. With `agent.install: repository` azcmagent comes from
# packages.microsoft.com; with `--fetch-url` the host of the binary belongs here too.
: "${EGRESS_HOSTS:=packages.microsoft.com}"
: "${USER_DATA_FILE:=user-data.b64}"

test -s "$USER_DATA_FILE" || {
    echo "there is no $USER_DATA_FILE: arc-enroll user-data --config config.yaml --base64 > $USER_DATA_FILE" >&2
    exit 1
}

add_egress_hosts() {
    for host in $EGRESS_HOSTS; do
        known=$(az networkcloud cloudservicesnetwork show --subscription "$SUBSCRIPTION_ID" \
            --resource-group "$CSN_RESOURCE_GROUP" --name "$CSN_NAME" --output tsv \
            --query "length(not_null(additionalEgressEndpoints, \`[]\`)[].endpoints[?domainName=='$host'][])")
        if [ "$known" != 0 ]; then continue; fi
        # An update replaces the whole list, so what is there is sent along.
        endpoints=$(az networkcloud cloudservicesnetwork show --subscription "$SUBSCRIPTION_ID" \
            --resource-group "$CSN_RESOURCE_GROUP" --name "$CSN_NAME" --output json --query \
            "[not_null(additionalEgressEndpoints, \`[]\`), \`[{\"category\": \"azure-arc\", \"endpoints\": [{\"domainName\": \"$host\", \"port\": 443}]}]\`][]")
        az networkcloud cloudservicesnetwork update --subscription "$SUBSCRIPTION_ID" \
            --resource-group "$CSN_RESOURCE_GROUP" --name "$CSN_NAME" \
            --additional-egress-endpoints "$endpoints" --output none
    done
}

# assign_roles OBJECT_ID
assign_roles() {
    for role in "Azure Connected Machine Resource Manager" "HybridCompute Machine ListAccessDetails Action"; do
        # With the principal type given, az does not look the identity up in Entra ID, where a new one appears late.
        try=1
        until az role assignment create --assignee-object-id "$1" --assignee-principal-type ServicePrincipal \
            --role "$role" --scope "/subscriptions/$ARC_SUBSCRIPTION_ID/resourceGroups/$ARC_RESOURCE_GROUP" --output none; do
            if [ "$try" = 5 ]; then exit 1; fi
            try=$((try + 1))
            sleep 15
        done
    done
}

create_vm() {
    # Without waiting, so that the roles are assigned while the VM boots.
    az networkcloud virtualmachine create --no-wait \
        --subscription "$SUBSCRIPTION_ID" --resource-group "$VM_RESOURCE_GROUP" --name "$VM_NAME" --location "$LOCATION" \
        --extended-location name="$CUSTOM_LOCATION_ID" type=CustomLocation \
        --admin-username "$ADMIN_USERNAME" --ssh-key-values "$SSH_PUBLIC_KEY" \
        --csn attached-network-id="$csn_id" \
        --network-attachments "[{\"attachedNetworkId\":\"$L3_NETWORK_ID\",\"ipAllocationMethod\":\"Dynamic\",\"defaultGateway\":\"True\",\"networkAttachmentName\":\"mgmt0\"}]" \
        --cpu-cores "$CPU_CORES" --memory-size "$MEMORY_SIZE" \
        --storage-profile create-option=Ephemeral delete-option=Delete disk-size="$DISK_SIZE" \
        --vm-image "$VM_IMAGE" --user-data-content "@$USER_DATA_FILE" "$@"
}

# Prints the object id of the identity that came with the VM.
system_assigned() {
    try=1
    while [ "$try" -le 60 ]; do
        id=$(az networkcloud virtualmachine show --subscription "$SUBSCRIPTION_ID" --resource-group "$VM_RESOURCE_GROUP" \
            --name "$VM_NAME" --query identity.principalId --output tsv) || id=
        if [ -n "$id" ] && [ "$id" != None ]; then
            echo "$id"
            return
        fi
        try=$((try + 1))
        sleep 10
    done
    echo "the VM $VM_NAME has no system-assigned identity, and it cannot be added: create the VM again with one" >&2
    exit 1
}

add_egress_hosts
csn_id=$(az networkcloud cloudservicesnetwork show --subscription "$SUBSCRIPTION_ID" \
    --resource-group "$CSN_RESOURCE_GROUP" --name "$CSN_NAME" --query id --output tsv)
if [ -n "$UAMI_ID" ]; then
    # This identity exists before the VM, so its roles can be assigned first.
    principal=$(az identity show --ids "$UAMI_ID" --query principalId --output tsv)
    assign_roles "$principal"
    create_vm --mi-user-assigned "$UAMI_ID"
else
    create_vm --mi-system-assigned
    principal=$(system_assigned)
    assign_roles "$principal"
fi
az networkcloud virtualmachine wait --created \
    --subscription "$SUBSCRIPTION_ID" --resource-group "$VM_RESOURCE_GROUP" --name "$VM_NAME"
